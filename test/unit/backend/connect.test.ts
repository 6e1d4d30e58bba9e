import { describe, expect, it } from 'vitest';
import { connectBackend } from '../../../src/backend/connect.ts';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import { resultMeta } from '../../contract/backend-suite.ts';
import { AMQP_OPTIONS, never } from '../../support/amqp.ts';
import { backendOptions } from '../../support/backend.ts';

const options = backendOptions({ transport: () => connectTransport('memory://', AMQP_OPTIONS) });

describe('connectBackend', () => {
  it.each([
    ['rpc://', 'rpc', 'rpc://'],
    ['rpc', 'rpc', 'rpc://'],
    ['disabled://', 'disabled', 'disabled://'],
    ['disabled', 'disabled', 'disabled://'],
    [undefined, 'disabled', 'disabled://'],
    ['', 'disabled', 'disabled://'],
    ['cache+memory://', 'cache+memory', 'cache+memory://'],
    ['sqlite:///x.db', 'sqlite', 'sqlite:///x.db'],
    ['redis', 'redis', 'redis://localhost:6379//'],
    ['redis://:secret@h/2', 'redis', 'redis://:**@h:6379/2'],
    ['rediss://h/0', 'rediss', 'rediss://h:6379/0'],
    ['redis+socket:///run/redis.sock', 'redis+socket', 'redis+socket:///run/redis.sock'],
  ])('%s', async (url, scheme, shown) => {
    const backend = connectBackend(url, options);
    expect(backend).toMatchObject({ scheme, url: shown });
    await backend[Symbol.asyncDispose]();
  });

  it.each([
    ['db+sqlite:///x.db', /pickles.*sqlite:\/\/\/results\.db/],
    ['sqlite://', /names no file|path/i],
    ['redis://h/zero', /a Redis database is a whole number/],
    ['sentinel://h', /master_name/],
    ['sqlit:///x.db', /No such result backend: sqlit\. Did you mean sqlite\? The backends are rpc, /],
  ])('refuses %s', (url, message) => {
    expect(() => connectBackend(url, options)).toThrow(ImproperlyConfigured);
    expect(() => connectBackend(url, options)).toThrow(message);
  });

  it('disabled: stores nothing, and says so when asked', async () => {
    const backend = connectBackend(undefined, options);
    await backend.expect('id');
    await backend.store(resultMeta('id', 'SUCCESS', 1));
    await backend.forget('id');
    await expect(backend.fetch('id')).rejects.toThrow(/No result backend is configured/);
    expect(() => backend.watch('id', never())).toThrow(/No result backend is configured/);
    await expect(backend.saveGroup([['g', null], []])).rejects.toThrow(ImproperlyConfigured);
    await expect(backend.loadGroup('g')).rejects.toThrow(ImproperlyConfigured);
    expect(await backend.cleanup()).toBe(0);
  });
});
