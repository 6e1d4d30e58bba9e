import { describe, expect, it } from 'vitest';

import { ImproperlyConfigured, InvalidTaskError } from '../../../src/core/errors.ts';
import { etaIso, etaMs, expiry, isoInZone, isoUtc, localTimeZone, parseIso } from '../../../src/core/time.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface Case {
  readonly text: string;
  readonly result?: string;
}
const fixture = wireFixture<{ cases: Case[] }>('iso8601.json');

// Celery 5.2.6 reads .25 as 25 microseconds, drops +0200, and refuses a seventh digit; later versions do not.
const OWN_READING: Readonly<Record<string, string>> = {
  '2031-05-17T10:30:00.25Z': '2031-05-17T10:30:00.250+00:00',
  '2031-05-17T10:30:00+0200': '2031-05-17T10:30:00+02:00',
  '2031-05-17T10:30:00.1234567': '2031-05-17T10:30:00.123',
};

describe('parseIso', () => {
  it.each(fixture.cases)('reads $text', ({ text, result }) => {
    const expected = OWN_READING[text] ?? result;
    if (expected === undefined) {
      expect(() => parseIso(text)).toThrow(InvalidTaskError);
      return;
    }
    const aware = /T.*[+-]/.test(expected) ? expected : `${expected}Z`;
    expect(parseIso(text)).toBe(Date.parse(aware.replace(/(\.\d{3})\d+/, '$1')));
  });

  it.each([
    ['2031-05-17T10:30:00.123456789Z', '2031-05-17T10:30:00.123Z'],
    ['2031-05-17T10:30:00+05', '2031-05-17T05:30:00Z'],
    ['2031-05-17T23:59:59-12:45', '2031-05-18T12:44:59Z'],
    ['0099-01-01', '0099-01-01T00:00:00Z'],
    ['2028-02-29', '2028-02-29T00:00:00Z'],
  ])('reads %s as %s', (text, expected) => {
    expect(parseIso(text)).toBe(Date.parse(expected));
  });

  it.each([
    '2031-02-29',
    '2031-00-10',
    '2031-01-32',
    '2031-05-17T24:00',
    '2031-05-17T10:60',
    'tomorrow',
    '1e9',
    '2031-05-17T10:30:00 x',
    '2031-05-17T',
    `2031-05-17${'0'.repeat(10_000)}`,
  ])('refuses %s', (text) => {
    expect(() => parseIso(text)).toThrow(/cannot read the time '.{1,65}': expected ISO 8601/);
  });
});

describe('writing times', () => {
  const ms = Date.UTC(2026, 10, 22, 15, 15, 10, 417);

  it.each([
    [ms, '2026-11-22T15:15:10.417000+00:00'],
    [new Date(ms), '2026-11-22T15:15:10.417000+00:00'],
    [0, '1970-01-01T00:00:00.000000+00:00'],
    [1.9, '1970-01-01T00:00:00.001000+00:00'],
  ])('writes %o in UTC', (time, expected) => {
    expect(isoUtc(time)).toBe(expected);
  });

  it.each([
    ['UTC', '2026-11-22T15:15:10.417000+00:00'],
    ['Etc/GMT', '2026-11-22T15:15:10.417000+00:00'],
    ['Europe/Oslo', '2026-11-22T16:15:10.417000+01:00'],
    ['America/St_Johns', '2026-11-22T11:45:10.417000-03:30'],
    ['Asia/Kathmandu', '2026-11-22T21:00:10.417000+05:45'],
    ['Pacific/Kiritimati', '2026-11-23T05:15:10.417000+14:00'],
  ])('writes it in %s', (zone, expected) => {
    expect(isoInZone(ms, zone)).toBe(expected);
    expect(parseIso(expected)).toBe(ms);
  });

  it('follows daylight saving time', () => {
    expect(isoInZone(Date.UTC(2026, 6, 1), 'Europe/Oslo')).toBe('2026-07-01T02:00:00.000000+02:00');
    expect(isoInZone(Date.UTC(2026, 9, 25, 0, 59, 59), 'Europe/Oslo')).toMatch(/02:59:59.000000\+02:00$/);
    expect(isoInZone(Date.UTC(2026, 9, 25, 1, 0, 0), 'Europe/Oslo')).toMatch(/02:00:00.000000\+01:00$/);
  });

  it('refuses what is no time and no zone', () => {
    expect(() => isoUtc(new Date(NaN))).toThrow(InvalidTaskError);
    expect(() => isoUtc(8.64e15)).toThrow(InvalidTaskError);
    expect(() => isoInZone(ms, 'Mars/Olympus')).toThrow(ImproperlyConfigured);
  });

  it('knows the zone of this machine', () => {
    expect(isoInZone(ms, localTimeZone())).toMatch(/^2026-11-2/);
  });
});

describe('eta and expires', () => {
  const nowMs = Date.UTC(2026, 10, 22, 15, 15, 0);
  const context = { nowMs, timeZone: 'Europe/Oslo' };

  it.each([
    [{ countdown: 10 }, '2026-11-22T16:15:10.000000+01:00'],
    [{ countdown: 0.5, eta: 'never read' }, '2026-11-22T16:15:00.500000+01:00'],
    [{ countdown: 0 }, null],
    [{ countdown: null, eta: null }, null],
    [{}, null],
    [{ eta: new Date(nowMs) }, '2026-11-22T16:15:00.000000+01:00'],
    [{ eta: nowMs }, '2026-11-22T16:15:00.000000+01:00'],
    [{ eta: '2030-01-02T03:04:05' }, '2030-01-02T03:04:05'],
  ])('makes the eta header of %o', (options, expected) => {
    expect(etaIso(options, context)).toBe(expected);
  });

  it('gives the eta in milliseconds', () => {
    expect(etaMs({ countdown: -1 }, nowMs)).toBe(nowMs - 1000);
    expect(etaMs({ eta: '2030-01-02T03:04:05' }, nowMs)).toBe(Date.UTC(2030, 0, 2, 3, 4, 5));
    expect(etaMs({}, nowMs)).toBeUndefined();
  });

  it.each([
    [60, '2026-11-22T16:16:00.000000+01:00', 60_000],
    [-5, '2026-11-22T16:14:55.000000+01:00', 0],
    [new Date(nowMs + 1500), '2026-11-22T16:15:01.500000+01:00', 1500],
    ['2026-11-22T15:15:01Z', '2026-11-22T15:15:01Z', 1000],
    ['2020-01-01', '2020-01-01', 0],
    [null, null, undefined],
    [undefined, null, undefined],
  ])('makes %s an expiry', (expires, iso, expirationMs) => {
    expect(expiry(expires, context)).toEqual({ iso, expirationMs });
  });

  it('refuses what is no time', () => {
    expect(() => etaMs({ countdown: NaN }, nowMs)).toThrow(/^countdown: expected seconds/);
    expect(() => etaMs({ eta: new Date(NaN) }, nowMs)).toThrow(/^eta: not a valid time/);
    expect(() => etaMs({ eta: 'soon' }, nowMs)).toThrow(/cannot read the time 'soon'/);
    expect(() => expiry(Infinity, context)).toThrow(/^expires: expected seconds/);
    expect(() => expiry('later', context)).toThrow(InvalidTaskError);
  });
});
