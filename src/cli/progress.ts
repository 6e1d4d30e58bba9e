/** How far long work is, on one line of a terminal that is wiped at the end; elsewhere nothing. */
export class Progress implements Disposable {
  readonly #stream: NodeJS.WriteStream | undefined;

  constructor(wanted: boolean, stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = wanted && stream.isTTY ? stream : undefined;
  }

  show(text: string): void {
    this.#stream?.write(`\r\u001b[K${text}`);
  }

  [Symbol.dispose](): void {
    this.#stream?.write('\r\u001b[K');
  }
}
