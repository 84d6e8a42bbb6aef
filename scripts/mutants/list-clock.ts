import { type Mutant, unit } from './mutant.ts';

/** What is broken about time: how old a message is taken for, and by which clock. */
export const CLOCK_MUTANTS: readonly Mutant[] = [
  {
    name: 'as-old-as-the-run',
    breaks: 'A message that was just received expires because the gateway has run for long.',
    file: 'src/clock/message-ages.ts',
    find: '    if (message.epoch === store.epoch && message.run === store.run) return leastMs;\n',
    replace: '',
    tests: [unit('clock/message-ages.test.ts')],
  },
  {
    name: 'unconfirmed-clock-believed',
    breaks: 'Messages expire on the word of a clock that nobody has confirmed.',
    file: 'src/clock/gateway-clock.ts',
    find: 'if (isSynced === true) judge.confirm(now);',
    replace: 'judge.confirm(now);',
    tests: [unit('clock/gateway-clock.test.ts'), unit('clock/gateway-clock.property.test.ts')],
  },
  {
    name: 'clock-of-1970-believed',
    breaks: 'A clock that says a time before this software was written counts as right.',
    file: 'src/clock/clock-judge.ts',
    find: '    if (now.wallMs < EARLIEST_MS) return;\n',
    replace: '',
    tests: [unit('clock/clock-judge.test.ts')],
  },
  {
    name: 'doubtful-clock-believed',
    breaks:
      'What comes after the clock was set wrong is stamped by the time that was right before.',
    file: 'src/clock/clock-judge.ts',
    find: '    this.#sureUntilMs ??= this.#lookedAtMs;\n',
    replace: '',
    tests: [unit('clock/clock-judge.test.ts'), unit('clock/gateway-clock.property.test.ts')],
  },
  {
    name: 'monotonic-over-a-boot',
    breaks: 'The time since boot of one machine counts as time that has passed on another.',
    file: 'src/clock/time-start.ts',
    find: 'clock.bootId === now.bootId && ',
    replace: '',
    tests: [unit('clock/time-start.test.ts')],
  },
  {
    name: 'age-by-the-note-of-another-run',
    breaks: 'A message goes by the clock of another run that had the same epoch.',
    file: 'src/clock/message-ages.ts',
    find: 'note?.run !== run || ',
    replace: '',
    tests: [unit('clock/message-ages.test.ts')],
  },
];
