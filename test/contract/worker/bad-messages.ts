import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../src/message/message.ts';
import type { Place } from './place.ts';

/** What becomes of a message that cannot run. */
export function badMessagesContract(at: Place): void {
  describe('a message that cannot run', () => {
    const id = 'bad-1';
    const headers = { task: 'tasks.add', id };

    test.each<{ what: string; message: Partial<Envelope>; line: RegExp; error?: string }>([
      {
        what: 'an unknown task',
        message: { headers: { task: 'tasks.unknown', id } },
        line: /^ERROR\/MainProcess Received unregistered task of type 'tasks\.unknown'\.\nThe message has been ignored and discarded\.[^]*b'\[\[1, 2\], \{\}, \{\}\]' \(16b\)/,
        error: 'NotRegistered',
      },
      {
        what: 'a body that is not JSON',
        message: { headers, body: Buffer.from('[[1, 2') },
        line: /^CRITICAL\/MainProcess Can't decode message body: DecodeError\(/,
        error: 'DecodeError',
      },
      {
        what: 'a body of another shape',
        message: { headers, body: Buffer.from('"text"') },
        line: /^ERROR\/MainProcess Received invalid task message/,
        error: 'InvalidTaskError',
      },
      {
        what: 'a content type that is not accepted',
        message: { headers, contentType: 'application/x-python-serialize', contentEncoding: 'binary' },
        line: /^CRITICAL\/MainProcess Can't decode message body: ContentDisallowed\(/,
        error: 'ContentDisallowed',
      },
      {
        what: 'no id',
        message: { headers: { task: 'tasks.add' } },
        line: /^ERROR\/MainProcess Received invalid task message: .*'id'/,
      },
      {
        what: 'an eta that is no time',
        message: { headers: { ...headers, eta: 'soon' } },
        line: /^ERROR\/MainProcess Received invalid task message: .*soon/,
        error: 'InvalidTaskError',
      },
      {
        what: 'no task at all',
        message: {},
        line: /^WARNING\/MainProcess Received and deleted unknown message {2}?\. {2}Wrong destination|^WARNING\/MainProcess Received and deleted unknown message\. {2}Wrong destination\?!\?/,
      },
      {
        what: 'no task at all, and no JSON either',
        message: { body: Buffer.from([0xff, 0xfe]) },
        line: /^CRITICAL\/MainProcess Can't decode message body/,
      },
    ])('$what: is logged and dropped, and the worker goes on', async ({ message, line, error }) => {
      const { makeApp, start, publish, waiting, send } = at;
      const { app, worker, log } = await start(makeApp());
      const result = app.AsyncResult(id);
      await publish(app, message);
      await log.until(line);
      const next = await send(app, 'tasks.add', [1, 2]);
      expect(await next.get({ timeout: 20 })).toBe(3);
      if (error !== undefined && app.backend.can.shared) {
        await expect(result.get({ timeout: 20 })).rejects.toMatchObject({ name: error });
      }
      await worker.stop('warm');
      expect(await waiting(app)).toBe(0);
    });

    test('protocol 1 runs', async () => {
      const { makeApp, start, publish } = at;
      const { app, log } = await start(makeApp());
      const body = {
        task: 'tasks.add',
        id: 'old-1',
        args: [2, 3],
        kwargs: {},
        retries: 0,
        eta: null,
        expires: null,
      };
      await publish(app, { body: Buffer.from(JSON.stringify(body)) });
      await log.until(/Task tasks\.add\[old-1\] succeeded in .*: 5$/);
    });
  });
}
