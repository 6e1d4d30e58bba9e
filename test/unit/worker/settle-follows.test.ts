import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../src/message/message.ts';
import type { Outcome } from '../../../src/message/outcome.ts';
import { decodeBody, encodeValue } from '../../../src/message/registry.ts';
import { resultMeta } from '../../contract/backend-suite.ts';
import { accept, outcomes, scene, sent, type LateOptions } from '../../support/settlement.ts';

const late: LateOptions = { acksLate: true };

describe('the next run', () => {
  test('is the message of this one with one retry more, its time, and itself as parent', async () => {
    const { app, id, request, settlement, stored } = scene({
      message: {
        headers: { 'x-tenant': 'acme' },
        priority: 4,
        timeLimit: 60,
        softTimeLimit: 50,
        shadow: 'fl',
        replyTo: 'r',
      },
    });
    await settlement.settle(request, outcomes.retry, 1);
    const [next, ...others] = await sent(app);
    expect(others).toEqual([]);
    expect(next?.body.equals(request.envelope.body)).toBe(true);
    expect(next?.headers).toEqual({
      ...request.envelope.headers,
      retries: 1,
      eta: '2030-01-01T00:00:00.000000+00:00',
      parent_id: id,
      root_id: id,
      origin: `gen${process.pid}@here`,
    });
    expect(next?.properties).toMatchObject({ correlationId: id, replyTo: 'r', priority: 4, deliveryMode: 2 });
    expect(stored[0]?.children).toEqual([[[id, null], null]]);
  });

  test('keeps its parent, and takes over what retry() changed', async () => {
    const { app, request, settlement } = scene({
      message: { parentId: 'p', rootId: 'r', expiresIso: '2030-01-02T00:00:00Z', expirationMs: 1000 },
    });
    const value = encodeValue([[9], { k: 1 }, {}], 'json');
    await settlement.settle(
      request,
      {
        ...outcomes.retry,
        request: {
          etaMs: Date.UTC(2030, 0, 1),
          body: { value, argsrepr: '(9,)', kwargsrepr: "{'k': 1}" },
          options: { priority: 7, headers: { a: 1 }, time_limit: 9, shadow: 's' },
        },
      },
      1,
    );
    const [next] = await sent(app);
    expect(decodeBody(next ?? request.envelope, accept)).toEqual([[9], { k: 1 }, {}]);
    expect(next?.headers).toMatchObject({
      parent_id: 'p',
      root_id: 'r',
      retries: 1,
      argsrepr: '(9,)',
      kwargsrepr: "{'k': 1}",
      timelimit: [9, null],
      shadow: 's',
      a: 1,
      expires: '2030-01-02T00:00:00Z',
    });
    expect(next?.properties.priority).toBe(7);
    expect(Number(next?.properties.expiration)).toBeGreaterThan(0);
  });

  test.each([
    ['had none: a chord waits for it', { expiresIso: '2030-01-02T00:00:00Z' }, {}, undefined],
    ['is a member of a group', { group: 'g' }, { expires: 60 }, undefined],
    ['has neither', {}, { expires: 60 }, expect.stringMatching(/^[56]\d{4}$/)],
  ])(
    'may be dropped by the broker when it expires, or not: it %s',
    async (_, message, options, expiration) => {
      const { app, request, settlement } = scene({ message });
      const again = { ...outcomes.retry, request: { etaMs: 0, body: null, options } };
      await settlement.settle(request, again, 1);
      const [next] = await sent(app);
      expect(next?.properties.expiration).toEqual(expiration);
    },
  );

  test('goes to another queue when retry() names one', async () => {
    const { app, request, settlement } = scene();
    await settlement.settle(
      request,
      { ...outcomes.retry, request: { etaMs: 0, body: null, options: { queue: 'celery' } } },
      1,
    );
    expect(await sent(app)).toHaveLength(1);
  });
});

describe('what follows', () => {
  const signature = (task: string, args: unknown[], more: object = {}) => ({
    ...{ task, args, kwargs: {}, options: {}, subtask_type: null, immutable: false },
    ...more,
  });
  const embed = (parts: object) =>
    encodeValue({ callbacks: null, errbacks: null, chain: null, chord: null, ...parts }, 'json');

  test('callbacks and the next step of the chain are sent with the result before it is stored', async () => {
    const { app, id, request, settlement, stored, verdicts } = scene({
      task: late,
      message: { replyTo: 'client' },
    });
    const last = signature('tasks.last', [], { options: { task_id: 'step-3' } });
    await settlement.settle(
      request,
      {
        ...outcomes.success,
        children: [[['child', null], null]],
        embed: embed({
          callbacks: [signature('tasks.log', [10]), signature('tasks.quiet', [1], { immutable: true })],
          chain: [last, signature('tasks.next', [8], { options: { task_id: 'step-2', priority: 3 } })],
        }),
      },
      1,
    );
    const messages = await sent(app);
    const bodies = messages.map((message) => [
      message.headers.task,
      ...(decodeBody(message, accept) as [unknown, unknown, { chain: unknown }]),
    ]);
    const none = { callbacks: null, errbacks: null, chain: null, chord: null };
    expect(bodies).toEqual(
      expect.arrayContaining([
        ['tasks.log', [5, 10], {}, none],
        ['tasks.quiet', [1], {}, none],
        [
          'tasks.next',
          [5, 8],
          {},
          { ...none, chain: [{ ...last, options: { task_id: 'step-3', reply_to: 'client' } }] },
        ],
      ]),
    );
    for (const message of messages) {
      expect(message.headers).toMatchObject({ root_id: id, parent_id: id });
      expect(message.properties.replyTo).toBe('client');
    }
    const step = messages.find((message) => message.headers.task === 'tasks.next');
    expect(step?.headers.id).toBe('step-2');
    expect(step?.properties.priority).toBe(3);
    // A call, a group of two callbacks, the next step.
    expect(stored[0]?.children?.map(([, members]) => members?.length)).toEqual([undefined, 2, undefined]);
    expect(stored[0]?.children).toContainEqual([['step-2', null], null]);
    expect(verdicts).toEqual(['store SUCCESS', 'ack']);
  });

  test.each([
    ['has no state yet', false, true, 2],
    ['has run', true, true, 1],
    ['has run, but nobody has died', true, false, 2],
  ])('the body of a chord whose last member comes again: it %s', async (_, hasRun, redelivered, bodies) => {
    const member = { group: 'group', groupIndex: 0 };
    const { app, again, settlement } = scene({ task: late, message: member });
    const chord = signature('tasks.body', [], { options: { task_id: 'body' } });
    const outcome = { ...outcomes.success, embed: embed({ chord }) };
    for (const delivered of [false, redelivered]) {
      // The second time the worker died before it could note that it had sent the body.
      await app.backend.startChord('group', 1);
      await settlement.settle(again(delivered), outcome, 1);
      if (hasRun) await app.backend.store(resultMeta('body', 'SUCCESS', 5));
    }
    const messages = await sent(app);
    expect(messages.map(({ headers }) => headers.id)).toEqual(Array.from({ length: bodies }, () => 'body'));
  });

  test('error callbacks get the id of the failed task; the chain ends', async () => {
    const { app, id, request, settlement } = scene();
    await settlement.settle(
      request,
      {
        ...outcomes.failure,
        embed: embed({ errbacks: [signature('tasks.alarm', ['x'])], chain: [signature('tasks.next', [])] }),
      },
      1,
    );
    const messages = await sent(app);
    expect(messages.map((message) => message.headers.task)).toEqual(['tasks.alarm']);
    expect((decodeBody(messages[0] as Envelope, accept) as unknown[])[0]).toEqual([id, 'x']);
  });

  test.each<[keyof typeof outcomes, object, string]>([
    ['failure', {}, 'ValueError'],
    ['timeout', {}, 'TimeLimitExceeded'],
    ['lost', {}, 'WorkerLostError'],
    ['failure', { ignoreResult: true }, 'nothing'],
  ])('the rest of the chain fails too: %s, %o', async (outcome, message, type) => {
    const step = (id: string, more: object) => signature(id, [], { options: { task_id: id, ...more } });
    const chain = [step('step-3', { group_id: 'g' }), step('step-2', {}), signature('celery.group', [])];
    const parts = { callbacks: null, errbacks: null, chain, chord: null };
    const { request, settlement, stored } = scene({ message: { embed: parts, ...message } });
    await settlement.settle(request, { ...outcomes[outcome], embed: embed(parts) } as Outcome, 1);
    const rest = stored
      .slice(1)
      .map(({ taskId, status, groupId, error }) => [taskId, status, groupId, error?.type]);
    expect(rest).toEqual(
      type === 'nothing'
        ? []
        : [
            ['step-2', 'FAILURE', null, type],
            ['step-3', 'FAILURE', 'g', type],
          ],
    );
  });

  test.each(['timeout', 'lost'] as const)(
    'also after %s, when nobody has read the message',
    async (outcome) => {
      const { app, request, settlement } = scene({
        message: {
          embed: { callbacks: null, errbacks: [signature('tasks.alarm', [])], chain: null, chord: null },
        },
      });
      await settlement.settle(request, outcomes[outcome], 1);
      expect((await sent(app)).map((message) => message.headers.task)).toEqual(['tasks.alarm']);
    },
  );

  test('a callback whose arguments do not fit is sent all the same: it is the one to fail', async () => {
    const { app, request, settlement, verdicts } = scene();
    const callbacks = [signature('tasks.add', [1, 2, 3])];
    await settlement.settle(request, { ...outcomes.success, embed: embed({ callbacks }) }, 1);
    expect(await sent(app)).toHaveLength(1);
    expect(verdicts).toEqual(['store SUCCESS']);
  });

  test('a follow-up that can never be sent fails the task instead of repeating it', async () => {
    const { request, settlement, verdicts, stored, log } = scene({ task: late });
    const callbacks = [signature('tasks.log', [], { options: { serializer: 'nonesuch' } })];
    await settlement.settle(request, { ...outcomes.success, embed: embed({ callbacks }) }, 1);
    expect(verdicts).toEqual(['store FAILURE', 'ack']);
    expect(stored[0]?.error?.type).toBe('ImproperlyConfigured');
    expect(log.matching(/could not be recorded/)).toHaveLength(1);
  });
});
