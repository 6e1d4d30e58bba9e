import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SecurityOptions } from '../../src/app/security.ts';
import { Celery } from '../../src/app/celery.ts';
import { ImproperlyConfigured, SecurityError } from '../../src/core/errors.ts';
import { serializerByName } from '../../src/message/registry.ts';
import { decodeMeta, encodeMeta } from '../../src/message/result-codec.ts';
import { makeIdentity } from '../support/certificates.ts';
import { python, runPython } from '../support/python.ts';

const AUTH = { task_serializer: 'auth', accept_content: ['auth'] } as const;

const SCRIPT = `
import base64, json, sys
from celery import Celery
from kombu.serialization import dumps, loads
key, cert, store, digest, inner, way, text = sys.argv[1:]
app = Celery(set_as_current=False)
app.conf.update(task_serializer='auth', accept_content=['auth'], security_key=key, security_certificate=cert,
                security_cert_store=store, security_digest=digest)
# Without the argument it is sha256, whatever security_digest says.
app.setup_security(digest=digest, serializer=inner)
if way == 'load':
    print(json.dumps(loads(text, 'application/data', 'utf-8', force=True)))
else:
    content_type, encoding, body = dumps(json.loads(text), serializer='auth')
    print(json.dumps([content_type, encoding, body if isinstance(body, str) else body.decode()]))
`;

const VALUE = [['é😀', 1.5, null], { k: { deep: [true] } }, { callbacks: null }];

describe.skipIf(python === undefined)('messages signed by TypeScript and Python', () => {
  const folder = mkdtempSync(join(tmpdir(), 'celery-ts-signing-'));
  const keys = join(folder, 'keys');
  const certs = join(folder, 'certs');
  const strangers = join(folder, 'strangers');
  const path = (name: string): string => join(folder, name);

  beforeAll(async () => {
    // Names whose values need care: several, with a comma, not in ASCII.
    await makeIdentity({ keys, certs }, 'typescript', '/C=NO/O=Smith, Sons \\/ Co/CN=Ærlig worker');
    await makeIdentity({ keys, certs }, 'python', '/CN=python');
    await makeIdentity({ keys, certs: strangers }, 'stranger', '/CN=stranger');
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => vi.useRealTimers());

  const setup = (options: SecurityOptions = {}, settings: Readonly<Record<string, unknown>> = {}): Celery => {
    const app = new Celery('signing', {
      ...AUTH,
      security_key: join(keys, 'typescript.key'),
      security_certificate: join(certs, 'typescript.pem'),
      security_cert_store: certs,
      ...settings,
    });
    app.setupSecurity(options);
    return app;
  };

  const inPython = async (
    way: 'load' | 'dump',
    text: string,
    digest: string,
    inner: string,
  ): Promise<unknown> => {
    const files = [join(keys, 'python.key'), join(certs, 'python.pem'), certs];
    return JSON.parse(await runPython(SCRIPT, ...files, digest, inner, way, text));
  };

  it.each([
    ['sha256', 'json'],
    ['sha512', 'json'],
    ['sha3_256', 'yaml'],
  ])('%s over %s is read on both sides', async (digest, inner) => {
    setup({ digest, serializer: inner });
    const auth = serializerByName('auth');
    const own = auth.encode(VALUE);
    expect(auth.decode(own)).toEqual(VALUE);
    expect(await inPython('load', own.toString(), digest, inner)).toEqual(VALUE);
    const [type, encoding, body] = (await inPython('dump', JSON.stringify(VALUE), digest, inner)) as string[];
    expect([type, encoding]).toEqual([auth.contentType, auth.contentEncoding]);
    expect(auth.decode(Buffer.from(body!))).toEqual(VALUE);
  });

  it('a result document is signed as a whole', () => {
    setup();
    const meta = {
      ...{ taskId: 'T', status: 'SUCCESS', result: null, error: null, traceback: null, children: null },
      ...{ dateDone: new Date(0), groupId: null, parentId: null, extended: null },
    };
    const bytes = encodeMeta(meta, 'key-value', 'auth');
    expect(bytes.toString()).toMatch(/^[\w+/]+=*$/);
    expect(decodeMeta(bytes, 'auth')).toEqual(meta);
  });

  const spoil = (change: (payload: Buffer) => Buffer): Buffer => {
    const payload = Buffer.from(serializerByName('auth').encode([1, 2]).toString(), 'base64');
    return Buffer.from(change(payload).toString('base64'));
  };
  const altered = (from: string, to: string) => (payload: Buffer) =>
    Buffer.from(payload.toString('latin1').replace(from, to), 'latin1');

  it.each<[string, (payload: Buffer) => Buffer, string]>([
    [
      'an altered body',
      altered('[1,2]', '[1,3]'),
      "Bad signature: the message is not what 'NO Smith, Sons / Co",
    ],
    ['another signer', altered('NO Smith', 'NO Smyth'), "Unknown certificate: 'NO Smyth, Sons / Co"],
    ['another signer that is known', (payload) => relabelled(payload, certs), 'Bad signature: '],
    [
      'an inner type of pickle',
      altered('application/json', 'application/x-python-serialize'),
      'is of type appl',
    ],
    [
      'an inner type of its own',
      altered('application/json', 'application/data'),
      'is of type application/data',
    ],
    ['something cut off', (payload) => payload.subarray(0, 300), 'The message is not signed'],
    ['no separator', () => Buffer.from('[1, 2]'), 'The message is not signed'],
    ['nothing', () => Buffer.alloc(0), 'The message is not signed'],
  ])('refuses %s', (_what, change, text) => {
    setup();
    const decode = (): unknown => serializerByName('auth').decode(spoil(change));
    expect(decode).toThrow(SecurityError);
    expect(decode).toThrow(text);
  });

  const relabelled = (payload: Buffer, store: string): Buffer => {
    const rest = payload.subarray(payload.indexOf(Buffer.from([0, 1])));
    setup({ key: join(keys, 'python.key'), cert: join(store, 'python.pem') });
    const theirs = Buffer.from(serializerByName('auth').encode(0).toString(), 'base64');
    setup();
    return Buffer.concat([theirs.subarray(0, theirs.indexOf(Buffer.from([0, 1]))), rest]);
  };

  it('refuses whoever is not in the store, and Python does', async () => {
    setup({ key: join(keys, 'stranger.key'), cert: join(strangers, 'stranger.pem') });
    const body = serializerByName('auth').encode([1]);
    expect(() => serializerByName('auth').decode(body)).toThrow("Unknown certificate: 'stranger ");
    await expect(inPython('load', body.toString(), 'sha256', 'json')).rejects.toThrow('Unknown certificate');
  });

  it('refuses a certificate whose time has passed since the start', () => {
    setup();
    const body = serializerByName('auth').encode([1]);
    expect(serializerByName('auth').decode(body)).toEqual([1]);
    vi.useFakeTimers({ now: Date.now() + 3 * 86_400_000, toFake: ['Date'] });
    expect(() => serializerByName('auth').decode(body)).toThrow(/^Expired certificate: 'NO Smith/);
  });

  it('names what is wrong when a worker starts', () => {
    const empty = path('empty');
    mkdirSync(empty, { recursive: true });
    const twice = path('twice');
    cpSync(join(certs, 'python.pem'), join(twice, 'a.pem'));
    cpSync(join(certs, 'python.pem'), join(twice, 'b.pem'));
    const table: [
      SecurityOptions,
      Readonly<Record<string, unknown>>,
      new (message?: string) => Error,
      string,
    ][] = [
      [{}, { accept_content: ['json', 'auth'] }, ImproperlyConfigured, "accept_content = ['auth']"],
      [{}, { task_serializer: 'json' }, ImproperlyConfigured, "task_serializer = 'auth'"],
      [
        {},
        { security_key: null },
        ImproperlyConfigured,
        'security_key, security_certificate and security_cert',
      ],
      [{ key: path('none') }, {}, ImproperlyConfigured, 'The private key cannot be read: ENOENT'],
      [{ key: join(certs, 'python.pem') }, {}, SecurityError, 'Invalid private key: '],
      [{ cert: join(keys, 'python.key') }, {}, SecurityError, 'is not an X.509 certificate in PEM'],
      [{ store: empty }, {}, ImproperlyConfigured, 'there is no certificate at'],
      [{ store: join(certs, '*.crt') }, {}, ImproperlyConfigured, 'there is no certificate at'],
      [{ store: twice }, {}, SecurityError, "Duplicate certificate: 'python "],
      [{ digest: 'md17' }, {}, ImproperlyConfigured, "there is no digest 'md17'"],
      [{ serializer: 'pickle' }, {}, ImproperlyConfigured, "signs json or yaml, not 'pickle'"],
    ];
    for (const [options, settings, error, text] of table) {
      const app = setup(options, settings);
      expect(() => app.finalizeTasks()).toThrow(error);
      expect(() => app.finalizeTasks()).toThrow(text);
    }
    vi.useFakeTimers({ now: Date.now() + 3 * 86_400_000, toFake: ['Date'] });
    expect(() => setup().finalizeTasks()).toThrow('Expired certificate: ');
  });

  it.each(['*.pem', 'p*n.pem', '?ython.pem'])('takes the pattern %s for the store', (pattern) => {
    const app = setup({
      key: join(keys, 'python.key'),
      cert: join(certs, 'python.pem'),
      store: join(certs, pattern),
    });
    app.finalizeTasks();
    expect(serializerByName('auth').decode(serializerByName('auth').encode([1]))).toEqual([1]);
  });
});
