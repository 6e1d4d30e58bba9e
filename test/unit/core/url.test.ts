import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import type { ServerUrl } from '../../../src/core/url.ts';
import { maskText, maskUrl, parseUrl, splitUrls } from '../../../src/core/url.ts';

interface UrlCase {
  readonly url: string;
  readonly result?: Record<
    'transport' | 'hostname' | 'port' | 'userid' | 'password' | 'virtual_host',
    unknown
  >;
  readonly raises?: { type: string };
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../fixtures/wire/urls.json', import.meta.url), 'utf8'),
) as { cases: UrlCase[] };

const empty: ServerUrl = {
  scheme: '',
  user: undefined,
  password: undefined,
  host: undefined,
  port: undefined,
  path: '',
  query: {},
};

describe('parseUrl', () => {
  // kombu fails on a virtual_host in the query because of how it passes it on; the URL itself is sound.
  it.each(cases.filter(({ raises }) => raises?.type !== 'TypeError'))(
    '$url as kombu does',
    ({ url, result }) => {
      if (result === undefined) {
        expect(() => parseUrl(url)).toThrow(ImproperlyConfigured);
        return;
      }
      const parsed = parseUrl(url);
      expect({
        transport: parsed.scheme,
        hostname: parsed.host ?? null,
        port: parsed.port ?? null,
        userid: parsed.user ?? null,
        password: parsed.password ?? null,
        virtual_host: decodeURIComponent(parsed.path) || null,
      }).toEqual({ ...result, ssl: undefined });
    },
  );

  it.each<[string, Partial<ServerUrl>]>([
    ['pyamqp://guest@localhost//', { scheme: 'pyamqp', user: 'guest', host: 'localhost', path: '/' }],
    ['amqp://guest@localhost/%2f', { scheme: 'amqp', user: 'guest', host: 'localhost', path: '%2f' }],
    ['amqp://localhost/', { scheme: 'amqp', host: 'localhost' }],
    ['AMQP://Host:5672', { scheme: 'amqp', host: 'host', port: 5672 }],
    ['sqlite:///relative.db', { scheme: 'sqlite', path: 'relative.db' }],
    ['sqlite:////var/lib/abs.db', { scheme: 'sqlite', path: '/var/lib/abs.db' }],
    ['sqla+sqlite:///x.db', { scheme: 'sqla+sqlite', path: 'x.db' }],
    ['memory://', { scheme: 'memory' }],
    ['rpc://', { scheme: 'rpc' }],
    ['cache+memory://', { scheme: 'cache+memory' }],
    ['amqp://[::1]:5673//', { scheme: 'amqp', host: '::1', port: 5673, path: '/' }],
    ['amqp://u:p@[fe80::1%25eth0]/', { scheme: 'amqp', user: 'u', password: 'p', host: 'fe80::1%eth0' }],
    ['amqp://u:p@ss@h/v', { scheme: 'amqp', user: 'u', password: 'p@ss', host: 'h', path: 'v' }],
    ['amqp://u:a:b%2Fc%3F@h/v', { scheme: 'amqp', user: 'u', password: 'a:b/c?', host: 'h', path: 'v' }],
    ['amqp://u:100%@h/v', { scheme: 'amqp', user: 'u', password: '100%', host: 'h', path: 'v' }],
    ['redis://:secret@h/0', { scheme: 'redis', password: 'secret', host: 'h', path: '0' }],
    [
      'amqps://h?heartbeat=5&ca=%2Fx%20y',
      { scheme: 'amqps', host: 'h', query: { heartbeat: '5', ca: '/x y' } },
    ],
    [' amqp://h ', { scheme: 'amqp', host: 'h' }],
  ])('%s', (url, parts) => {
    expect(parseUrl(url)).toEqual({ ...empty, ...parts });
  });

  it.each([
    ['localhost:5672', /localhost:5672 is not a URL/],
    ['', /is not a URL/],
    ['amqp://u:sec/ret@h:5672/v', /port is not a number/],
    ['amqp://h:70000/', /port is not a number/],
    ['amqp://u:sec?ret@h/v', /port is not a number/],
  ])('refuses %s and shows no password', (url, message) => {
    expect(() => parseUrl(url)).toThrow(message);
    expect(() => parseUrl(url)).not.toThrow(/sec/);
  });
});

describe('maskUrl and maskText', () => {
  it.each([
    ['amqp://guest:guest@host:5672/vhost', 'amqp://guest:**@host:5672/vhost'],
    ['redis://:secret@h/0', 'redis://:**@h/0'],
    ['amqp://guest@localhost//', 'amqp://guest@localhost//'],
    ['amqp://', 'amqp://'],
    ['sqlite:////var/x.db', 'sqlite:////var/x.db'],
    ['amqp://u:p@ss:w@h/v', 'amqp://u:**@h/v'],
    ['amqp://u:se/cr?et@h:5672/v', 'amqp://u:**@h:5672/v'],
    ['amqp://us/er:secret@h/v', 'amqp://us/er:**@h/v'],
    ['amqp://u:se"cret@h/v', 'amqp://u:**@h/v'],
    ['amqp://a:x@h1//;amqp://b:y@h2//', 'amqp://a:**@h1//;amqp://b:**@h2//'],
    [
      'db+postgresql://u:p@h/db?sslpassword=x&password=hush',
      'db+postgresql://u:**@h/db?sslpassword=x&password=**',
    ],
    ['no url, a:b@c', 'no url, a:b@c'],
    ["got 'amqp://a:x@h//', not me@example.com", "got 'amqp://a:**@h//', not me@example.com"],
    ['["amqp://a:x@h1//","amqp://b:y@h2//"]', '["amqp://a:**@h1//","amqp://b:**@h2//"]'],
    [
      'see amqp://localhost:5672// and mail me@example.com',
      'see amqp://localhost:5672// and mail me@example.com',
    ],
    ['lost amqp://a:x@h//: refused\namqp://b:$&@h', 'lost amqp://a:**@h//: refused\namqp://b:**@h'],
  ])('%s', (text, masked) => {
    expect(maskText(text)).toBe(masked);
    expect(maskUrl(text)).toBe(masked);
  });

  it('takes another mask', () => {
    expect(maskUrl('amqp://a:x@h//', '********')).toBe('amqp://a:********@h//');
  });

  it('stays fast on long text', () => {
    const start = process.cpuUsage();
    maskText(`amqp://${'a:'.repeat(20_000)} ${'x://y:'.repeat(5_000)}`);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(2000);
  });
});

it.each([
  ['amqp://a//;amqp://b//', ['amqp://a//', 'amqp://b//']],
  ['amqp://a//; ', ['amqp://a//']],
  [
    ['amqp://a//', 'amqp://b//;amqp://c//'],
    ['amqp://a//', 'amqp://b//', 'amqp://c//'],
  ],
])('splitUrls %s', (urls, list) => {
  expect(splitUrls(urls)).toEqual(list);
});
