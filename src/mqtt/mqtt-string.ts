const NUL = '\u0000';
/**
 * What the decoder puts in place of malformed UTF-8. A string that truly contains it cannot be told apart here and is
 * refused too: no sane topic name has one.
 */
const REPLACEMENT = '\ufffd';

/** False for malformed UTF-8 [MQTT-1.5.3-1] and for NUL [MQTT-1.5.3-2]. */
export function isMqttString(text: string): boolean {
  return !text.includes(NUL) && !text.includes(REPLACEMENT);
}

/** True for what a PUBLISH may carry as topic name: no wildcard [MQTT-3.3.2-2], not empty [MQTT-4.7.3-1]. */
export function isTopicName(topic: string): boolean {
  return topic.length > 0 && isMqttString(topic) && !topic.includes('#') && !topic.includes('+');
}
