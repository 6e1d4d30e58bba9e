import { deflateSync, gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import {
  ContentDisallowed,
  DecodeError,
  EncodeError,
  ImproperlyConfigured,
} from '../../../src/core/errors.ts';
import { compress } from '../../../src/message/compression.ts';
import {
  acceptedTypes,
  decodeBody,
  decodeValue,
  encodeValue,
  serializerByName,
} from '../../../src/message/registry.ts';

const accept = acceptedTypes(['json']);
const limits = { maxInflatedBytes: 1000 };

function message(overrides: object) {
  return {
    body: Buffer.from('[1]'),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers: {},
    ...overrides,
  };
}

describe('registry', () => {
  it('knows serializers by name', () => {
    expect(serializerByName('json').contentType).toBe('application/json');
    expect(() => serializerByName('pickle')).toThrow(ImproperlyConfigured);
    expect(() => serializerByName('pickle')).toThrow('the serializer pickle is read by Python only');
    expect(() => serializerByName('auth')).toThrow('after app.setupSecurity()');
    expect(() => serializerByName('yml')).toThrow(
      "there is no serializer 'yml'; there are: json, msgpack, yaml, raw, json-plain",
    );
  });

  it('reads accept_content by name and by type', () => {
    expect([...acceptedTypes(['json', 'application/x-thing'])]).toEqual([
      'application/json',
      'application/x-thing',
    ]);
    expect(() => acceptedTypes(['yml'])).toThrow("there is no serializer 'yml'");
  });

  it('encodes values once', () => {
    const value = encodeValue({ a: [1n] }, 'json');
    expect(value).toEqual({ serializer: 'json', bytes: Buffer.from('{"a":[1]}') });
    expect(decodeValue(value)).toEqual({ a: [1] });
  });
});

describe('decodeBody', () => {
  const long = JSON.stringify(['x'.repeat(900)]);

  it.each([
    ['plain', {}, [1]],
    ['encoding in capitals', { contentEncoding: 'UTF-8' }, [1]],
    ['binary', { contentEncoding: 'binary' }, [1]],
    ['no compression', { headers: { compression: null } }, [1]],
    ["Celery's gzip", { body: deflateSync('[2]'), headers: { compression: 'application/x-gzip' } }, [2]],
    ['real gzip', { body: gzipSync('[2]'), headers: { compression: 'application/x-gzip' } }, [2]],
    ['by alias', { body: deflateSync('[2]'), headers: { compression: 'zlib' } }, [2]],
    ['just small enough', { body: deflateSync(long), headers: { compression: 'gzip' } }, JSON.parse(long)],
  ])('reads: %s', (_name, overrides, value) => {
    expect(decodeBody(message(overrides), accept, limits)).toEqual(value);
  });

  const bomb = deflateSync(Buffer.alloc(50_000_000));
  it.each([
    [
      'pickle',
      { contentType: 'application/x-python-serialize' },
      ContentDisallowed,
      "Refusing to deserialize untrusted content of type pickle (application/x-python-serialize); accept_content allows: application/json. Set task_serializer = 'json' (for results: result_serializer = 'json') in the app that sends it.",
    ],
    ['no type', { contentType: '' }, ContentDisallowed, '(none)'],
    [
      'another encoding',
      { contentEncoding: 'utf-16' },
      DecodeError,
      'in the encoding utf-16; utf-8 is needed',
    ],
    ['not JSON', { body: Buffer.from('hello') }, DecodeError, 'cannot decode JSON'],
    ['not UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, DecodeError, 'not UTF-8'],
    [
      'a bomb',
      { body: bomb, headers: { compression: 'application/x-gzip' } },
      DecodeError,
      /^a body of \d+ compressed bytes inflates to more than 1000$/,
    ],
    [
      'damaged',
      { body: Buffer.from('[1]'), headers: { compression: 'application/x-gzip' } },
      DecodeError,
      'the zlib stream is damaged',
    ],
    [
      'cut off',
      { body: deflateSync(long).subarray(0, 9), headers: { compression: 'application/x-gzip' } },
      DecodeError,
      'the zlib stream is damaged',
    ],
    [
      'lzma',
      { headers: { compression: 'application/x-lzma' } },
      DecodeError,
      'compressed as application/x-lzma; there are: application/x-gzip, application/x-bz2',
    ],
    [
      'yaml',
      { contentType: 'application/x-yaml' },
      ContentDisallowed,
      "yaml (application/x-yaml); accept_content allows: application/json. Add 'yaml' to accept_content here.",
    ],
    [
      'signed or raw',
      { contentType: 'application/data' },
      ContentDisallowed,
      "If it is signed, call app.setupSecurity() here; else set task_serializer = 'json'",
    ],
    ['odd header', { headers: { compression: 1 } }, DecodeError, 'the compression header is not text'],
  ])('refuses: %s', (_name, overrides, error, text) => {
    const decode = () => decodeBody(message(overrides), accept, limits);
    expect(decode).toThrow(error);
    expect(decode).toThrow(text);
  });

  it('says when it accepts what it cannot read', () => {
    const types = acceptedTypes(['application/x-thing']);
    expect(() => decodeBody(message({ contentType: 'application/x-thing' }), types, limits)).toThrow(
      'cannot read a body of type application/x-thing; there are: application/json',
    );
  });

  it('refuses to compress as it cannot', () => {
    expect(() => compress(Buffer.from('x'), 'lzma')).toThrow(EncodeError);
    expect(compress(Buffer.from('x'), 'zlib').bytes[0]).toBe(0x78);
  });
});
