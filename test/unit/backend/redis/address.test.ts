import { describe, expect, it } from 'vitest';
import { redisBackendAddress } from '../../../../src/backend/redis/address.ts';
import { ImproperlyConfigured } from '../../../../src/core/errors.ts';
import { resolveSettings } from '../../../../src/settings/resolve.ts';
import type { Settings } from '../../../../src/settings/settings.ts';

const ALL: Settings = {
  redis_host: 'Elsewhere',
  redis_port: 7000,
  redis_db: 3,
  redis_username: 'me@home',
  redis_password: 's/e:c@r#et',
};
const address = (url: string, settings: Settings) =>
  redisBackendAddress(url, resolveSettings([{ origin: 'test', values: settings }]));

describe('the Redis of a result backend', () => {
  it.each<[string, Settings, string, number, string | undefined, string | undefined]>([
    ['redis://', {}, 'localhost:6379', 0, undefined, undefined],
    ['redis://', ALL, 'elsewhere:7000', 3, 'me@home', 's/e:c@r#et'],
    ['rediss://', ALL, 'elsewhere:7000', 3, 'me@home', 's/e:c@r#et'],
    ['redis://h', ALL, 'h:7000', 0, 'me@home', 's/e:c@r#et'],
    ['redis://h:1/2', ALL, 'h:1', 2, 'me@home', 's/e:c@r#et'],
    ['redis:///2', ALL, 'elsewhere:7000', 2, 'me@home', 's/e:c@r#et'],
    ['redis://a:b%2Fc@h', ALL, 'h:7000', 0, 'a', 'b/c'],
    ['redis://:p@h', ALL, 'h:7000', 0, 'me@home', 'p'],
    ['redis://[::1]:5/1', ALL, '::1:5', 1, 'me@home', 's/e:c@r#et'],
    ['redis://:7', ALL, 'elsewhere:7', 3, 'me@home', 's/e:c@r#et'],
    ['redis://', { redis_host: '::1', redis_db: 1 }, '::1:6379', 1, undefined, undefined],
    ['redis://', { redis_password: 'x' }, 'localhost:6379', 0, undefined, 'x'],
  ])('%s with %j', (url, settings, place, db, user, password) => {
    const [host, port] = [place.slice(0, place.lastIndexOf(':')), Number(/\d+$/.exec(place)?.[0])];
    const found = address(url, settings);
    expect(found).toMatchObject({ place: { kind: 'tcp', host, port }, db });
    expect([found.user, found.password]).toEqual([user, password]);
    expect(found.url).not.toContain('e:c');
  });

  it('keeps what only the URL says', () => {
    expect(address('rediss://?ssl_cert_reqs=none', ALL).tls).toMatchObject({ rejectUnauthorized: false });
    expect(address('redis://h', { redis_backend_use_ssl: true }).tls).toBeDefined();
    expect(address('redis+socket:///run/r.sock?virtual_host=2', ALL)).toMatchObject({
      place: { kind: 'socket', path: '/run/r.sock' },
      db: 2,
      user: 'me@home',
      password: 's/e:c@r#et',
    });
    const sentinels = address('sentinel://a:1/0;sentinel://b', {
      result_backend_transport_options: { master_name: 'm' },
    });
    expect(sentinels.place).toMatchObject({ kind: 'sentinel', masterName: 'm' });
    expect(() => address('redis://h/x', ALL)).toThrow(ImproperlyConfigured);
  });
});
