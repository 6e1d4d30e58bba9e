import { castSetting } from '../settings/resolve.ts';
import type { GlobalOptions } from './context.ts';

type Values = Record<string, unknown>;

/** The settings that global options stand for. */
export function globalSettings(options: GlobalOptions): Values {
  return {
    ...(options.broker !== undefined && { broker_url: options.broker }),
    ...(options.resultBackend !== undefined && { result_backend: options.resultBackend }),
  };
}

/** `worker.prefetch_multiplier=7`, `task_time_limit=30`. */
const WORD = /^([\w.]+)=(.*)$/s;

export function isSettingWord(word: string): boolean {
  return WORD.test(word);
}

/**
 * Settings written as words behind the options of the worker; `.x` and `_x` are short for `worker_x`, `(int)5` says the type.
 * @param words of the form that `isSettingWord` tells
 */
export function settingWords(words: readonly string[]): Values {
  const values: Values = {};
  for (const word of words) {
    const [, key = '', text = ''] = WORD.exec(word) ?? [];
    const name = /^[._]/.test(key) ? `worker_${key.slice(1)}` : key.replace('.', '_');
    values[name] = castWord(name, text);
  }
  return values;
}

const CASTS: Readonly<Record<string, (text: string) => unknown>> = {
  int: (text) => Math.trunc(Number(text)),
  float: Number,
  bool: (text) => ['1', 'true', 'yes', 'on'].includes(text.toLowerCase()),
  str: (text) => text,
  string: (text) => text,
  list: (text) => text.split(','),
  tuple: (text) => text.split(','),
  json: (text) => JSON.parse(text) as unknown,
};

function castWord(name: string, text: string): unknown {
  const match = /^\((\w+)\)(.*)$/s.exec(text);
  const cast = CASTS[match?.[1] ?? ''];
  return match === null || cast === undefined ? castSetting(name, text) : cast(match[2] ?? '');
}
