import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { amqpTransport } from '../../../src/transport/amqp/transport.ts';
import { tlsOptions } from '../../../src/core/tls.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import { memoryTransport } from '../../../src/transport/memory/transport.ts';
import { sqliteTransport } from '../../../src/transport/sqlite/transport.ts';
import { AMQP_OPTIONS, never } from '../../support/amqp.ts';

describe('connectTransport', () => {
  it.each([
    ['amqp://u:secret@h:1/v', 'amqp://u:**@h:1/v', 'amqp'],
    ['pyamqp://guest@localhost//', 'amqp://guest:**@localhost:5672//', 'pyamqp'],
    ['sqlite:///a.db', 'sqlite:///a.db', 'sqlite'],
    ['memory://', 'memory://', 'memory'],
    ['amqp://a:x@h//;amqp://b:y@h//', 'amqp://a:**@h:5672//', 'amqp'],
  ])('of %s shows %s and opens nothing', (url, shown, scheme) => {
    expect(connectTransport(url, AMQP_OPTIONS)).toMatchObject({ url: shown, scheme });
  });

  it.each([
    ['ampq://h//', /No such broker transport: ampq\. Did you mean amqp\? The transports are amqp, /],
    ['nonsense', /not a URL/],
    ['', /No broker URL/],
    ['amqp://u:se#cret@h//', /percent-encoded|not a URL/],
  ])('refuses %j and never shows a password', (url, message) => {
    expect(() => connectTransport(url, AMQP_OPTIONS)).toThrow(ImproperlyConfigured);
    expect(() => connectTransport(url, AMQP_OPTIONS)).toThrow(message);
    expect(() => connectTransport(url, AMQP_OPTIONS)).not.toThrow(/cret/);
  });

  it('knows what each broker can do before its code is loaded', () => {
    const sqlite = sqliteTransport('sqlite:///x.db', AMQP_OPTIONS);
    for (const loaded of [amqpTransport('amqp://', AMQP_OPTIONS), sqlite, memoryTransport('memory://x')]) {
      expect(connectTransport(`${loaded.scheme}:///x.db`, AMQP_OPTIONS).can).toEqual(loaded.can);
    }
  });
});

describe('amqpTransport', () => {
  it.each([
    ['amqp://', 'amqp://guest:**@localhost:5672//'],
    ['pyamqp://guest@localhost//', 'amqp://guest:**@localhost:5672//'],
    ['amqps://me:secret@broker/%2Fvhost', 'amqps://me:**@broker:5671//vhost'],
    ['amqp://m%40e:s%3Acret@[::1]:9/my%20host', 'amqp://m%40e:**@[::1]:9/my host'],
  ])('shows %s as %s', (url, shown) => {
    expect(amqpTransport(url, AMQP_OPTIONS).url).toBe(shown);
  });

  it('speaks TLS when broker_use_ssl says so', () => {
    expect(amqpTransport('amqp://h//', { ...AMQP_OPTIONS, useSsl: true }).url).toBe(
      'amqps://guest:**@h:5671//',
    );
  });

  it('refuses a login method that does not exist', async () => {
    const transport = amqpTransport('amqp://h//', {
      ...AMQP_OPTIONS,
      transportOptions: { login_method: 'MAGIC' },
    });
    const refused = transport.connect(never());
    await expect(refused).rejects.toThrow(ImproperlyConfigured);
    await expect(refused).rejects.toThrow(/login_method takes PLAIN, AMQPLAIN or EXTERNAL/);
  });

  it('refuses a certificate that cannot be read, which no retry would change', async () => {
    const transport = amqpTransport('amqps://h//', {
      ...AMQP_OPTIONS,
      useSsl: { ca_certs: '/nowhere/ca.pem' },
    });
    await expect(transport.connect(never())).rejects.toThrow(ImproperlyConfigured);
  });
});

describe('broker_use_ssl', () => {
  const folder = mkdtempSync(join(tmpdir(), 'celery-ts-tls-'));
  const file = join(folder, 'pem');
  writeFileSync(file, 'PEM');
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    [true, {}],
    [
      { ca_certs: file, certfile: file, keyfile: file },
      { ca: Buffer.from('PEM'), cert: Buffer.from('PEM'), key: Buffer.from('PEM') },
    ],
    [{ cert_reqs: 'ssl.CERT_NONE' }, { rejectUnauthorized: false }],
    [{ cert_reqs: 0 }, { rejectUnauthorized: false }],
    [{ cert_reqs: 'CERT_REQUIRED' }, { rejectUnauthorized: true }],
    [{ server_hostname: 'broker', keyfile: null }, { servername: 'broker' }],
    [
      { rejectUnauthorized: true, minVersion: 'TLSv1.3' },
      { rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    ],
  ])('%j', (useSsl, expected) => {
    expect(tlsOptions(useSsl)).toEqual(expected);
  });

  it.each([
    [{ ca_cert: 'x' }, /unknown parameter ca_cert\. Did you mean ca_certs\?/],
    [{ ca_certs: '/no/such/file' }, /cannot read ca_certs \/no\/such\/file/],
    [{ cert_reqs: 'MAYBE' }, /cert_reqs takes CERT_NONE/],
  ])('refuses %j', (useSsl, message) => {
    expect(() => tlsOptions(useSsl)).toThrow(ImproperlyConfigured);
    expect(() => tlsOptions(useSsl)).toThrow(message);
  });
});
