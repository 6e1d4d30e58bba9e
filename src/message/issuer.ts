import { SecurityError } from '../core/errors.ts';

/**
 * The values of the issuer's name in a certificate (DER), in their order. Node prints the name, but escapes what is in it.
 * @throws {SecurityError} when the bytes are no certificate
 */
export function issuerValues(certificate: Buffer): string[] {
  const fields = childrenOf(childrenOf(first([certificate]))[0]);
  // The version may be left out; after it come the serial number, the algorithm and the issuer.
  const issuer = fields[first(fields)[0] === VERSION ? 3 : 2];
  return childrenOf(issuer).flatMap((set) => childrenOf(set).map((pair) => textOf(childrenOf(pair)[1])));
}

const VERSION = 0xa0;
const BMP_STRING = 30;
const UNIVERSAL_STRING = 28;
const UTF8_STRING = 12;

/** The elements inside an element, each with its head. */
function childrenOf(element: Buffer | undefined): Buffer[] {
  const children: Buffer[] = [];
  let rest = contentOf(element);
  while (rest.length > 0) {
    const { start, end } = boundsOf(rest);
    if (end > rest.length || end <= start - 1) throw malformed();
    children.push(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  return children;
}

function contentOf(element: Buffer | undefined): Buffer {
  if (element === undefined) throw malformed();
  const { start, end } = boundsOf(element);
  return element.subarray(start, end);
}

/** Where the content of the element at the beginning is. */
function boundsOf(bytes: Buffer): { readonly start: number; readonly end: number } {
  const length = bytes[1];
  if (length === undefined) throw malformed();
  if (length < 0x80) return { start: 2, end: 2 + length };
  const size = length & 0x7f;
  if (size === 0 || size > 4 || bytes.length < 2 + size) throw malformed();
  return { start: 2 + size, end: 2 + size + bytes.readUIntBE(2, size) };
}

function textOf(element: Buffer | undefined): string {
  const content = contentOf(element);
  switch (element?.[0]) {
    case UTF8_STRING:
      return content.toString('utf8');
    case BMP_STRING:
      return Buffer.from(content).swap16().toString('utf16le');
    case UNIVERSAL_STRING:
      return Array.from({ length: content.length >> 2 }, (_, index) =>
        String.fromCodePoint(content.readUInt32BE(index * 4)),
      ).join('');
    default:
      return content.toString('latin1');
  }
}

function first(elements: readonly Buffer[]): Buffer {
  const [element] = elements;
  if (element === undefined) throw malformed();
  return element;
}

function malformed(): SecurityError {
  return new SecurityError('Invalid certificate: its issuer cannot be read');
}
