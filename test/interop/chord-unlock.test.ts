import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/interop-cluster.ts';
import { python } from '../support/python.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

/** A result backend like those of Celery that count no chords (database, MongoDB, files): its clients send `celery.chord_unlock`. */
const UNCOUNTED = `
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend

class Uncounted(RedisBackend):
    supports_native_join = False
    apply_chord = Backend.apply_chord
    set_chord_size = Backend.set_chord_size
    on_chord_part_return = Backend.on_chord_part_return
`;

/** How a Python client calls a chord; gives the ids of its body and of its members. */
const send = (header: string, body: string): string => `
from celery import chord
os.environ['BACKEND'] = 'uncounted:Uncounted+' + os.environ['BACKEND'].rpartition('+')[2]
app = make_app()
sig = lambda name, *args, **kwargs: app.signature(name, args=args, kwargs=kwargs)
result = chord([${header}], app=app)(${body})
return [result.id, [member.id for member in result.parent]]
`;

type Sent = [body: string, members: string[]];

describe.runIf(hasRedis && python !== undefined)(
  'chords of a Python client that counts none',
  { timeout: 60_000 },
  () => {
    let redis: RedisServer;
    let cluster: Cluster;
    beforeAll(async () => {
      redis = await RedisServer.start();
      const url = redis.url(0);
      cluster = await Cluster.start({ broker: url, backend: url, resultSerializer: 'json' });
      writeFileSync(cluster.project.path('uncounted.py'), UNCOUNTED);
    }, 60_000);
    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    });

    /** Ids of the tasks that have asked for the members and whose log says so, one for each time. */
    const unlocks = (side: 'ts' | 'py', how: string): string[] => {
      const { output } = side === 'ts' ? cluster.typescript : cluster.python;
      const lines = output.matchAll(new RegExp(`Task celery\\.chord_unlock\\[([-0-9a-f]+)\\] ${how}`, 'g'));
      return [...lines].map(([, id]) => String(id));
    };
    const calls = (header: string, body: string): Promise<Sent> =>
      cluster.py(send(header, body)) as Promise<Sent>;
    const bodies = (): unknown[] => cluster.notes().filter((note) => String(note).endsWith(',body'));

    it.each([
      ['TypeScript', 'ts', "sig('ts.add', 1, 2), sig('ts.add', 3, 4)"],
      ['both languages', 'ts', "sig('py.add', 1, 2), sig('ts.add', 3, 4)"],
      ['TypeScript, with a body in Python', 'py', "sig('ts.add', 1, 2), sig('ts.add', 3, 4)"],
    ] as const)('values of members in %s, in their order, to one body', async (_, side, others) => {
      const { control } = cluster.client;
      const before = { bodies: bodies().length, asked: unlocks(side, 'retry').length };
      const destination = ['ts@interop'];
      // Nobody takes the first member before it was asked for.
      await control.cancelConsumer('parked', { destination, reply: true, timeout: 10, limit: 1 });
      const first = "sig('ts.add', 0, 1).set(queue='parked')";
      const [bodyId] = await calls(`${first}, ${others}`, `sig('${side}.note', text='body')`);
      const asked = (): number => unlocks(side, 'retry').length;
      await expect.poll(asked, { timeout: 20_000, interval: 20 }).toBeGreaterThan(before.asked);
      await control.addConsumer('parked', { destination, reply: true, timeout: 10, limit: 1 });
      expect(await cluster.client.AsyncResult(bodyId).get({ timeout: 20 })).toEqual([1, 3, 7]);
      const ended = (): string[] => unlocks(side, 'succeeded').slice(-1);
      await expect.poll(ended, { timeout: 20_000, interval: 20 }).toEqual(unlocks(side, 'retry').slice(-1));
      expect(bodies().length - before.bodies).toBe(1);
    });

    it.each([
      ['ts.fail', "'TypeError', 'no'", "TypeError('no')"],
      ['py.fail', "'ValueError', 'no'", "ValueError('no')"],
    ])(
      '%s in the header ends the chord, and calls the error callbacks of its body',
      async (name, args, error) => {
        const before = bodies().length;
        const errbacks = "on_error(sig('ts.alarm', text='called')).on_error(sig('ts.note', text='sent'))";
        const body = `sig('ts.note', text='body').${errbacks}`;
        const [bodyId, members] = await calls(`sig('ts.add', 1, 2), sig('${name}', ${args})`, body);
        const message = `Dependency ${String(members[1])} raised ${error}`;
        await expect(cluster.client.AsyncResult(bodyId).get({ timeout: 20 })).rejects.toMatchObject({
          name: 'ChordError',
          message,
        });
        await cluster.noted([
          'ts.alarm',
          [bodyId, 'ts.note', 'ChordError', message, expect.any(Boolean), 'called'],
        ]);
        await cluster.noted(['ts.note', [bodyId, 'sent']]);
        expect(bodies().length).toBe(before);
      },
    );
  },
);
