import { ImproperlyConfigured } from './errors.ts';

/** The parts of a broker or result backend URL; user, password and host are percent-decoded. */
export interface ServerUrl {
  /** Lower case, such as `amqp` or `sqla+sqlite`. */
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** What follows the slash after the host, as written: still percent-encoded, `''` when there is none. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

const SHAPE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?/i;

/**
 * Reads `scheme://user:password@host:port/path?option=value`.
 *
 * @throws {@link ImproperlyConfigured}, which never shows the password.
 */
export function parseUrl(url: string): ServerUrl {
  const match = SHAPE.exec(url.trim());
  if (match === null) {
    throw new ImproperlyConfigured(
      `${maskUrl(url)} is not a URL: it takes the form scheme://user:password@host:port/path`,
    );
  }
  const [, scheme = '', authority = '', path = '', query = ''] = match;
  const at = authority.lastIndexOf('@');
  const [user, password] = at === -1 ? [undefined, undefined] : splitOnce(authority.slice(0, at), ':');
  return {
    scheme: scheme.toLowerCase(),
    user: decoded(user),
    password: decoded(password),
    ...parseHost(authority.slice(at + 1), url),
    path,
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** The URLs of a failover list: a list, or one string with `;` between them. */
export function splitUrls(urls: string | readonly string[]): string[] {
  const list = typeof urls === 'string' ? [urls] : urls;
  return list
    .flatMap((entry) => entry.split(';'))
    .map((url) => url.trim())
    .filter((url) => url !== '');
}

/** The URL with its password shown as `mask`; a `;`-joined list may be given too. */
export function maskUrl(url: string, mask = '**'): string {
  return maskText(url, mask);
}

// A password ends at the last @ before the next URL, whatever it holds: one that was not percent-encoded, so that the URL
// cannot be parsed, must not be shown either. Quotes are taken for the end of the URL unless no @ came before them.
const NOT_NEXT_URL = String.raw`(?![a-z][a-z0-9+.-]*:\/\/)`;
const PASSWORD = new RegExp(
  String.raw`([a-z][a-z0-9+.-]*:\/\/[^\s:@"']*:)(?:(?:${NOT_NEXT_URL}[^\s"'])*|(?:${NOT_NEXT_URL}\S)*)@`,
  'gi',
);
const PASSWORD_OPTION = /([?&](?:password|passwd)=)[^&\s"';]+/gi;

/** The text with the password of every URL inside it shown as `mask`. */
export function maskText(text: string, mask = '**'): string {
  if (!text.includes('://')) return text;
  return text
    .replace(PASSWORD, (_, start: string) => `${start}${mask}@`)
    .replace(PASSWORD_OPTION, (_, start: string) => `${start}${mask}`);
}

function parseHost(text: string, url: string): Pick<ServerUrl, 'host' | 'port'> {
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  const [host, port] = bracket === null ? splitOnce(text, ':') : [bracket[1] ?? '', bracket[2]];
  if (/[[\]\s]/.test(host)) {
    throw new ImproperlyConfigured(
      `${maskUrl(url)} is not a URL: its host cannot be read. An IPv6 address is written [::1]; ` +
        'in a user name or password the characters / ? # @ [ ] must be percent-encoded.',
    );
  }
  if (port !== undefined && port !== '' && (!/^\d{1,5}$/.test(port) || Number(port) > 65535)) {
    throw new ImproperlyConfigured(
      `${maskUrl(schemeAndHost(url, host))}: the port is not a number between 0 and 65535. ` +
        'A / ? # or @ in a user name or password must be percent-encoded.',
    );
  }
  return {
    host: decoded(host)?.toLowerCase(),
    port: port === undefined || port === '' ? undefined : Number(port),
  };
}

// What stands where the port should be may be part of a password, so an error shows nothing from there on.
function schemeAndHost(url: string, host: string): string {
  return `${url.slice(0, url.indexOf('://'))}://${host}:…`;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone % is meant as itself, as in Python's unquote.
    return text;
  }
}
