import { ImproperlyConfigured } from '../core/errors.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';

/** `disabled://`, also when no result backend is configured: nothing is stored, and reading says so. */
export function disabledBackend(): ResultBackend {
  return new DisabledBackend();
}

class DisabledBackend implements ResultBackend {
  readonly scheme = 'disabled';
  readonly url = 'disabled://';
  readonly can: BackendCapabilities = { shared: false, crossProcess: false, expires: true, groups: false };
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

  loadGroup(): Promise<readonly string[] | undefined> {
    return Promise.reject(notConfigured());
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
