import { deflateSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { ContentDisallowed, DecodeError, InvalidTaskError } from '../../../src/core/errors.ts';
import { decodeEnvelope } from '../../../src/message/envelope-json.ts';
import { decodeJson } from '../../../src/message/json.ts';
import type { Envelope } from '../../../src/message/message.ts';
import { toProtocol2 } from '../../../src/message/protocol1.ts';
import { decodeTaskBody, parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { acceptedTypes, DEFAULT_LIMITS } from '../../../src/message/registry.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

const accept = acceptedTypes(['json']);
const { cases } = wireFixture<{ cases: { case: string; envelope: string }[] }>('messages-redis.json');

function upgrade(envelope: Envelope) {
  const upgraded = toProtocol2(envelope, accept, DEFAULT_LIMITS);
  return {
    ...parseTaskHeaders(upgraded.headers),
    ...decodeTaskBody(upgraded, accept, DEFAULT_LIMITS),
    properties: upgraded.properties,
  };
}

function envelopeOf(body: unknown, headers: Record<string, unknown> = {}): Envelope {
  return {
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers,
    properties: { correlationId: 'T1' },
  };
}

describe('protocol 1', () => {
  const old = cases.filter(({ case: name }) => name.startsWith('protocol1'));

  it.each(old)('$case as recorded becomes protocol 2', ({ envelope: text }) => {
    const { envelope } = decodeEnvelope(text);
    const body = decodeJson(envelope.body.toString()) as Record<string, unknown>;
    const { headers, args, kwargs, embed, properties } = upgrade(envelope);
    expect({ ...headers }).toMatchObject({
      task: body.task,
      id: body.id,
      eta: body.eta,
      expires: body.expires,
      group: body.taskset,
      retries: body.retries,
      timelimit: body.timelimit,
      root_id: null,
      parent_id: null,
    });
    expect({ args, kwargs }).toEqual({ args: body.args, kwargs: body.kwargs });
    expect(embed).toEqual({
      callbacks: body.callbacks,
      errbacks: body.errbacks,
      chain: null,
      chord: body.chord,
    });
    expect(properties).toEqual(envelope.properties);
  });

  it('was recorded', () => {
    expect(old.map(({ case: name }) => name)).toContain('protocol1-eta');
    expect(old.length).toBeGreaterThanOrEqual(5);
  });

  it('calls the group taskset', () => {
    const { headers } = upgrade(envelopeOf({ task: 'a', id: 'T1', taskset: 'G1', group: 'G2' }));
    expect(headers.group).toBe('G1');
  });

  it('mixed with headers lets the headers win', () => {
    const body = { task: 'old', id: 'T0', args: [1], retries: 1, eta: '2030-01-01' };
    const { headers, userHeaders, args } = upgrade(
      envelopeOf(body, { task: 'new', id: 'T1', retries: 2, mine: 1 }),
    );
    expect(headers).toMatchObject({ task: 'new', id: 'T1', retries: 2, eta: '2030-01-01' });
    expect([userHeaders, args]).toEqual([{ mine: 1 }, [1]]);
  });

  it('may be compressed', () => {
    const body = deflateSync(JSON.stringify({ task: 'a', id: 'T1', args: [1] }));
    expect(upgrade(envelopeOf(body, { compression: 'application/x-gzip' })).args).toEqual([1]);
  });

  it('leaves protocol 2 alone, unread', () => {
    const envelope = envelopeOf(Buffer.from('[not read'), { task: 'a', id: 'T1' });
    expect(toProtocol2(envelope, accept, DEFAULT_LIMITS)).toBe(envelope);
  });

  it.each([
    [envelopeOf([1, 2]), InvalidTaskError, 'neither its headers nor its body name one'],
    [envelopeOf({ id: 'T1' }), InvalidTaskError, 'neither its headers nor its body name one'],
    [envelopeOf({ task: 'a', args: 5 }), InvalidTaskError, 'the args of the task message are not a list'],
    [envelopeOf(Buffer.from('{')), DecodeError, 'cannot decode JSON'],
    [{ ...envelopeOf({}), contentType: 'text/plain' }, ContentDisallowed, 'text/plain'],
  ])('refuses what is no task: %#', (envelope, error, message) => {
    const act = () => toProtocol2(envelope, accept, DEFAULT_LIMITS);
    expect(act).toThrow(error);
    expect(act).toThrow(message);
  });
});
