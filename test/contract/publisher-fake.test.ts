import { FakePublisher } from '../helpers/fake-publisher.ts';
import { describePublisher, type PublisherHarness } from './publisher-contract.ts';

function letAnswer(publisher: FakePublisher): void {
  for (let next = publisher.inFlight[0]; next !== undefined; next = publisher.inFlight[0]) {
    if (next.routingKey === 'routed') publisher.confirm(1);
    else if (next.routingKey === 'unrouted') publisher.return();
    else publisher.nack();
  }
}

describePublisher('FakePublisher', async (): Promise<PublisherHarness> => {
  const publisher = new FakePublisher();
  return {
    publisher,
    letOpen: () => publisher.open(),
    letAnswer: () => letAnswer(publisher),
    loseChannel: async () =>
      publisher.close({ scope: 'channel', replyCode: 404, text: 'NOT_FOUND' }),
  };
});
