import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../src/backend/backend.ts';
import type { RemoteError } from '../../src/message/outcome.ts';
import type { ResultMeta } from '../../src/message/result-meta.ts';
import { chordContract } from './chord-suite.ts';

/** What a test may ask of the backends it gets; both sides have the same options. */
export interface BackendSetupOptions {
  /** Seconds; null = results are kept for ever. Default one day. */
  readonly resultExpiresS?: number | null;
}

/** Two ends of one result store: as the process that sends tasks has it, and as the worker has it. */
export interface BackendPair {
  readonly client: ResultBackend;
  readonly worker: ResultBackend;
  /** Releases what `setup` opened beside the two; the suite disposes the two itself, before. */
  dispose(): Promise<void>;
}

export type BackendSetup = (options: BackendSetupOptions) => Promise<BackendPair>;

const BOOM: RemoteError = {
  type: 'ValueError',
  module: 'builtins',
  args: ['boom', 1],
  traceback: 'Traceback (most recent call last):\n  ...\nValueError: boom',
};

/** A result record as a worker stores it; `value` is what the task returned. */
export function resultMeta(taskId: string, status: string, value: unknown, more?: Partial<ResultMeta>) {
  const ready = ['SUCCESS', 'FAILURE', 'REVOKED'].includes(status);
  const meta: ResultMeta = {
    taskId,
    status,
    result: { serializer: 'json', bytes: Buffer.from(JSON.stringify(value)) },
    error: null,
    traceback: null,
    children: [],
    dateDone: ready ? new Date() : null,
    groupId: null,
    parentId: null,
    extended: null,
  };
  return { ...meta, ...more };
}

/** The record of a task that failed. */
export function errorMeta(taskId: string, status: 'FAILURE' | 'RETRY' | 'REVOKED', error = BOOM): ResultMeta {
  return resultMeta(taskId, status, null, { result: null, error, traceback: error.traceback });
}

/** The value of a result; null where there is none, which says the same as a null. */
const valueOf = (meta: ResultMeta | undefined): unknown =>
  meta?.result ? (JSON.parse(meta.result.bytes.toString()) as unknown) : null;

/** Every promise of `ResultBackend`, run by each backend that keeps results. */
export function backendContract(name: string, setup: BackendSetup): void {
  describe(`${name}: the result backend contract`, () => {
    let pair: BackendPair;
    let client: ResultBackend;
    let worker: ResultBackend;

    const open = async (options: BackendSetupOptions = {}): Promise<void> => {
      pair = await setup({ resultExpiresS: 86_400, ...options });
      ({ client, worker } = pair);
    };
    const close = async (): Promise<void> => {
      await client[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
      await pair.dispose();
    };
    const store = (meta: ResultMeta): Promise<void> =>
      worker.store(
        meta,
        client.replyTo === undefined ? undefined : { replyTo: client.replyTo, correlationId: meta.taskId },
      );
    /** Ids of a task that this client is about to send. */
    const expected = async (): Promise<string> => {
      const id = randomUUID();
      await client.expect(id);
      return id;
    };
    /** All states that `watch` gives until it ends by itself. */
    const watched = async (id: string, signal = AbortSignal.timeout(10_000)): Promise<ResultMeta[]> => {
      const seen: ResultMeta[] = [];
      for await (const meta of client.watch(id, signal)) seen.push(meta);
      return seen;
    };
    /** What `fetch` gives once the store has reached the client. */
    const fetched = async (id: string): Promise<ResultMeta> => {
      for await (const meta of client.watch(id, AbortSignal.timeout(10_000))) return meta;
      throw new Error('watch ended without a state');
    };

    beforeEach(() => open());
    afterEach(close);

    it('knows nothing of an id it has never seen', async () => {
      expect(await client.fetch(await expected())).toBeUndefined();
    });

    it.each([
      ['a number', 8],
      ['null', null],
      ['text beyond ASCII', 'blåbærsyltetøy 🫐'],
      ['a tree', { a: [1, { b: null }], c: 'x' }],
      ['an empty list', []],
      ['300 kB', 'x'.repeat(300_000)],
    ])('keeps a result that is %s', async (_, value) => {
      const id = await expected();
      await store(resultMeta(id, 'SUCCESS', value));
      const meta = await fetched(id);
      expect(meta).toMatchObject({
        taskId: id,
        status: 'SUCCESS',
        error: null,
        traceback: null,
        children: [],
      });
      expect(valueOf(meta)).toEqual(value);
    });

    it.each(['FAILURE', 'REVOKED', 'RETRY'] as const)(
      'keeps the error and traceback of %s',
      async (status) => {
        const id = await expected();
        await store(errorMeta(id, status));
        const meta = await fetched(id);
        expect(meta).toMatchObject({ taskId: id, status, traceback: BOOM.traceback });
        expect(meta.error).toMatchObject({ type: 'ValueError', module: 'builtins', args: ['boom', 1] });
      },
    );

    it('keeps the children of a task', async () => {
      const id = await expected();
      const children = [[['child-1', null], null]] as const;
      await store(resultMeta(id, 'SUCCESS', 1, { children }));
      expect((await fetched(id)).children).toEqual(children);
    });

    it('keeps when the task ended, its group, parent and call, unless results are messages', async () => {
      if (!client.can.shared) return;
      const id = await expected();
      const args = { serializer: 'json', bytes: Buffer.from('[2,3]') };
      const kwargs = { serializer: 'json', bytes: Buffer.from('{"z":1}') };
      const meta = resultMeta(id, 'SUCCESS', 5, {
        dateDone: new Date('2026-11-22T15:24:18.128Z'),
        groupId: 'G1',
        parentId: 'P1',
        extended: { name: 'tasks.add', args, kwargs, worker: 'w@h', retries: 2, queue: 'celery' },
      });
      await store(meta);
      const got = await fetched(id);
      expect(got).toMatchObject({ groupId: 'G1', parentId: 'P1', dateDone: meta.dateDone });
      expect(got.extended).toMatchObject({ name: 'tasks.add', worker: 'w@h', retries: 2, queue: 'celery' });
      expect(JSON.parse(got.extended!.args!.bytes.toString())).toEqual([2, 3]);
      expect(JSON.parse(got.extended!.kwargs!.bytes.toString())).toEqual({ z: 1 });
    });

    it('shows the latest state', async () => {
      const id = await expected();
      await store(resultMeta(id, 'STARTED', { pid: 1, hostname: 'w@h' }));
      await store(resultMeta(id, 'PROGRESS', { current: 1 }));
      await store(resultMeta(id, 'SUCCESS', 'done'));
      const last = (await watched(id)).at(-1);
      expect([last?.status, valueOf(last)]).toEqual(['SUCCESS', 'done']);
      expect((await client.fetch(id))?.status).toBe('SUCCESS');
    });

    it('reads a result as often as it is asked, from any process where it can', async () => {
      const id = await expected();
      await store(resultMeta(id, 'SUCCESS', 3));
      await fetched(id);
      expect(valueOf(await client.fetch(id))).toBe(3);
      expect(valueOf(await client.fetch(id))).toBe(3);
      if (client.can.shared) expect(valueOf(await worker.fetch(id))).toBe(3);
    });

    it.each(['FAILURE', 'REVOKED', 'RETRY'] as const)('does not let %s overwrite SUCCESS', async (status) => {
      if (!client.can.shared) return;
      const id = await expected();
      await store(resultMeta(id, 'SUCCESS', 'first'));
      await store(errorMeta(id, status));
      const meta = await client.fetch(id);
      expect([meta?.status, valueOf(meta)]).toEqual(['SUCCESS', 'first']);
    });

    it('lets a later SUCCESS overwrite a failure', async () => {
      const id = await expected();
      await store(errorMeta(id, 'FAILURE'));
      await fetched(id);
      await store(resultMeta(id, 'SUCCESS', 'second'));
      if (client.can.shared) expect(valueOf(await client.fetch(id))).toBe('second');
    });

    it('keeps ids with odd characters apart', async () => {
      const ids = [`a'b"c-${randomUUID()}`, `%_*?-${randomUUID()}`, `ø/\\ -${randomUUID()}`];
      for (const id of ids) await client.expect(id);
      await Promise.all(ids.map((id) => store(resultMeta(id, 'SUCCESS', id))));
      for (const id of ids) expect(valueOf(await fetched(id))).toBe(id);
    });

    describe('watch', () => {
      it('is woken by a result that is stored later, and ends after it', async () => {
        const id = await expected();
        const seen = watched(id);
        await new Promise((resolve) => setTimeout(resolve, 60));
        const before = performance.now();
        await store(resultMeta(id, 'SUCCESS', 8));
        expect((await seen).map((meta) => [meta.status, valueOf(meta)])).toEqual([['SUCCESS', 8]]);
        // Woken, not polled: 50 ms is the promise; the rest is for a busy machine.
        expect(performance.now() - before).toBeLessThan(250);
      });

      it('shows each state to somebody who keeps up', async () => {
        const id = await expected();
        const states: string[] = [];
        const steps = [resultMeta(id, 'PROGRESS', { n: 1 }), resultMeta(id, 'SUCCESS', 2)];
        await store(resultMeta(id, 'STARTED', { pid: 1 }));
        for await (const meta of client.watch(id, AbortSignal.timeout(10_000))) {
          states.push(meta.status);
          const next = steps.shift();
          if (next) await store(next);
        }
        expect(states).toEqual(['STARTED', 'PROGRESS', 'SUCCESS']);
      });

      it('gives a result that is there already at once, again and again', async () => {
        const id = await expected();
        await store(errorMeta(id, 'FAILURE'));
        expect((await watched(id)).map((meta) => meta.status)).toEqual(['FAILURE']);
        expect((await watched(id)).map((meta) => meta.status)).toEqual(['FAILURE']);
      });

      it('serves many watchers, of one task and of many', async () => {
        const ids = await Promise.all(Array.from({ length: 50 }, expected));
        const all = Promise.all([...ids, ...ids].map((id) => watched(id)));
        await Promise.all(ids.map((id, index) => store(resultMeta(id, 'SUCCESS', index))));
        const values = (await all).map((metas) => valueOf(metas.at(-1)));
        expect(values).toEqual([...ids.keys(), ...ids.keys()]);
      });

      it('ends with the reason of the signal', async () => {
        const id = await expected();
        const controller = new AbortController();
        const reason = new Error('enough');
        const waiting = watched(id, controller.signal);
        setTimeout(() => controller.abort(reason), 20);
        await expect(waiting).rejects.toBe(reason);
        await expect(watched(id, AbortSignal.abort(reason))).rejects.toBe(reason);
      });

      it('can be left early', async () => {
        const id = await expected();
        await store(resultMeta(id, 'STARTED', { pid: 1 }));
        for await (const meta of client.watch(id, AbortSignal.timeout(10_000))) {
          expect(meta.status).toBe('STARTED');
          break;
        }
        await store(resultMeta(id, 'SUCCESS', 1));
        expect((await watched(id)).at(-1)?.status).toBe('SUCCESS');
      });

      it('ends with an error when the backend is closed', async () => {
        const waiting = watched(await expected());
        const refused = expect(waiting).rejects.toThrow();
        await new Promise((resolve) => setTimeout(resolve, 20));
        await client[Symbol.asyncDispose]();
        await refused;
      });
    });

    it('forgets', async () => {
      const id = await expected();
      await store(resultMeta(id, 'SUCCESS', 1));
      await fetched(id);
      await client.forget(id);
      expect(await client.fetch(id)).toBeUndefined();
      await client.forget(id);
      await client.forget(randomUUID());
    });

    it('saves and restores groups where it can', async () => {
      if (!client.can.groups) return;
      const group = randomUUID();
      expect(await client.loadGroup(group)).toBeUndefined();
      const inner = [['inner', null], [[['b', [['before', null], null]], null]]] as const;
      const saved = [
        [group, [['parent', null], null]],
        [[['a', null], null], inner],
      ] as const;
      await worker.saveGroup(saved);
      expect(await client.loadGroup(group)).toEqual(saved);
      await worker.saveGroup([[group, null], []]);
      expect(await client.loadGroup(group)).toEqual([[group, null], []]);
      await client.forgetGroup(group);
      expect(await worker.loadGroup(group)).toBeUndefined();
    });

    chordContract(() => pair);

    it('lets results and groups disappear after result_expires', async () => {
      if (!client.can.shared) return;
      await close();
      await open({ resultExpiresS: 0.3 });
      const id = randomUUID();
      await store(resultMeta(id, 'SUCCESS', 1));
      if (client.can.groups) await worker.saveGroup([[id, null], [[['a', null], null]]]);
      expect((await client.fetch(id))?.status).toBe('SUCCESS');
      await new Promise((resolve) => setTimeout(resolve, 350));
      if (client.can.expires) {
        expect(await client.fetch(id)).toBeUndefined();
        expect(await client.loadGroup(id)).toBeUndefined();
      }
      await worker.cleanup();
      expect(await client.fetch(id)).toBeUndefined();
      // An expired SUCCESS is no SUCCESS any more.
      await store(errorMeta(id, 'FAILURE'));
      expect((await client.fetch(id))?.status).toBe('FAILURE');
    });

    it.each([null, 0])('keeps results for ever with result_expires %s', async (resultExpiresS) => {
      if (!client.can.shared) return;
      await close();
      await open({ resultExpiresS });
      const id = randomUUID();
      await store(resultMeta(id, 'SUCCESS', 1));
      expect(await worker.cleanup()).toBe(0);
      expect((await client.fetch(id))?.status).toBe('SUCCESS');
    });

    it('stores many results of one turn', async () => {
      const ids = await Promise.all(Array.from({ length: 200 }, expected));
      await Promise.all(ids.map((id, index) => store(resultMeta(id, 'SUCCESS', index))));
      const got = await Promise.all(ids.map((id) => fetched(id)));
      expect(got.map(valueOf)).toEqual([...ids.keys()]);
    });

    it('is closed twice without harm, and says that it is closed', async () => {
      const id = await expected();
      await worker[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await expect(store(resultMeta(id, 'SUCCESS', 1))).rejects.toThrow(/closed/i);
    });

    it('says which backend it is', () => {
      expect(client.url).toContain('://');
      expect(client.scheme).not.toBe('');
    });
  });
}
