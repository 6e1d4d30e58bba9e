import { describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { redisAddress, type RedisAddressOptions } from '../../../src/redis/address.ts';

const OPTIONS: RedisAddressOptions = {
  useSsl: false,
  transportOptions: { master_name: 'mymaster' },
  settings: { useSsl: 'broker_use_ssl', transportOptions: 'broker_transport_options' },
};
const tcp = (host: string, port = 6379): unknown => ({ kind: 'tcp', host, port });
const sentinel = (...hosts: [string, number][]): unknown => ({
  kind: 'sentinel',
  sentinels: hosts.map(([host, port]) => ({ host, port })),
  masterName: 'mymaster',
});

describe('redisAddress', () => {
  // The printed form is that of kombu's `Connection.as_uri()`.
  it.each([
    ['redis://', 'redis://localhost:6379//', { place: tcp('localhost'), db: 0 }],
    ['redis://h', 'redis://h:6379//', { place: tcp('h'), db: 0, user: undefined, password: undefined }],
    ['redis://:s%40c@h:1/3', 'redis://:**@h:1/3', { place: tcp('h', 1), db: 3, password: 's@c' }],
    ['redis://u:p@h/3', 'redis://u:**@h:6379/3', { db: 3, user: 'u', password: 'p', tls: undefined }],
    ['redis://[::1]:2//7', 'redis://[::1]:2//7', { place: tcp('::1', 2), db: 7 }],
    ['rediss://h/1', 'rediss://h:6379/1', { db: 1, tls: {} }],
    ['rediss://h?ssl_cert_reqs=CERT_NONE', 'rediss://h:6379//', { tls: { rejectUnauthorized: false } }],
    ['rediss://h?ssl_cert_reqs=required', 'rediss://h:6379//', { tls: { rejectUnauthorized: true } }],
    [
      'redis+socket:///run/my%20r.sock?virtual_host=2',
      'redis+socket:///run/my r.sock',
      { place: { kind: 'socket', path: '/run/my r.sock' }, db: 2 },
    ],
    [
      'socket://:pw@/run/r.sock',
      'socket://:**@/run/r.sock',
      { place: { kind: 'socket', path: '/run/r.sock' }, password: 'pw', db: 0 },
    ],
    [
      'sentinel://:pw@a:1/2;sentinel://b',
      'sentinel://:**@a:1/2',
      { place: sentinel(['a', 1], ['b', 26379]), password: 'pw', db: 2 },
    ],
  ])('reads %s', (url, printed, parts) => {
    const address = redisAddress(url, OPTIONS);
    expect(address.url).toBe(printed);
    expect(address).toMatchObject(parts);
  });

  it.each([
    ['redis://:hidden@h/x', /redis:\/\/:\*\*@h\/x: a Redis database is a whole number from 0 on, not 'x'/],
    ['redis://:hidden@h/-1', /database/],
    ['redis://:hidden@h/1?virtual_hots=2', /Unknown parameter virtual_hots.*virtual_host/],
    ['redis+socket://:hidden@run/x.sock', /absolute path after three slashes/],
    ['redis://:hidden@a;redis://b', /only sentinel/],
    ['amqp://:hidden@a', /not a Redis URL/],
    ['rediss://:hidden@h?ssl_cert_reqs=maybe', /cert_reqs takes/],
    ['rediss://:hidden@h?ssl_ca_certs=/no/file', /cannot read ca_certs \/no\/file/],
  ])('refuses %s', (url, message) => {
    const read = (): unknown => redisAddress(url, OPTIONS);
    expect(read).toThrow(ImproperlyConfigured);
    expect(read).toThrow(message);
    expect(read).not.toThrow(/hidden/);
  });

  it('takes TLS parameters by the names of Python and of Node', () => {
    const tls = (useSsl: RedisAddressOptions['useSsl']): unknown =>
      redisAddress('redis://h', { ...OPTIONS, useSsl }).tls;
    expect(tls(false)).toBeUndefined();
    expect(tls(true)).toEqual({});
    expect(tls({ ssl_cert_reqs: 'CERT_NONE' })).toEqual({ rejectUnauthorized: false });
    expect(tls({ cert_reqs: 2, servername: 'x' })).toEqual({ rejectUnauthorized: true, servername: 'x' });
    expect(() => tls({ ssl_ca_cert: '/x' })).toThrow(
      /broker_use_ssl: unknown parameter ssl_ca_cert.*ca_certs/,
    );
  });

  it('wants the name of the master for Sentinels, and their own credentials apart', () => {
    const read = (transportOptions: Record<string, unknown>): unknown =>
      redisAddress('sentinel://:pw@a', { ...OPTIONS, transportOptions }).place;
    expect(() => read({})).toThrow(/broker_transport_options = { master_name/);
    expect(read({ master_name: 'm', sentinel_kwargs: { password: 's', username: 'u' } })).toMatchObject({
      masterName: 'm',
      user: 'u',
      password: 's',
      tls: undefined,
    });
    expect(read({ master_name: 'm', sentinel_kwargs: { ssl: true } })).toMatchObject({ tls: {} });
  });
});
