import { ImproperlyConfigured } from '../core/errors.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';
import { type ChordMember, noChords } from './chord.ts';

/** `disabled://`, also when no result backend is configured: nothing is stored, and reading says so. */
export function disabledBackend(): ResultBackend {
  return new DisabledBackend();
}

class DisabledBackend implements ResultBackend {
  readonly scheme = 'disabled';
  readonly url = 'disabled://';
  readonly can: BackendCapabilities = {
    results: false,
    shared: false,
    crossProcess: false,
    expires: true,
    groups: false,
    chords: false,
  };
  readonly replyTo = undefined;

  toString(): string {
    return this.url;
  }

  expect(): Promise<void> {
    return Promise.resolve();
  }

  store(): Promise<void> {
    return Promise.resolve();
  }

  fetch(): Promise<ResultMeta | undefined> {
    return Promise.reject(notConfigured());
  }

  watch(): AsyncIterable<ResultMeta> {
    throw notConfigured();
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  saveGroup(): Promise<void> {
    return Promise.reject(notConfigured());
  }

  loadGroup(): Promise<ResultTuple | undefined> {
    return Promise.reject(notConfigured());
  }

  forgetGroup(): Promise<void> {
    return Promise.reject(notConfigured());
  }

  startChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  growChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  endPart(): Promise<readonly ChordMember[] | undefined> {
    return Promise.reject(noChords(this.url));
  }

  endChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  cleanup(): Promise<number> {
    return Promise.resolve(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function notConfigured(): ImproperlyConfigured {
  return new ImproperlyConfigured(
    'No result backend is configured. Set result_backend, for example to rpc:// or sqlite:///results.db.',
  );
}
