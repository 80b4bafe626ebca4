// A file that grows by lines and is rewritten now and then. A line is in it whole or not at all: the part that a full
// disk accepted is cut off again. If even that is refused, the end of the file is unknown, and the next line waits
// until the file has been rewritten.
import { type Files, attempt, attemptOf, replacedFile, writeAll } from "./files.ts";

export class LineFile {
  readonly #files: Files;
  readonly #path: string;
  /** Undefined: there is no file to which a line could be added. */
  #fd: number | undefined;
  #length = 0;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Whether lines can be added now and found again: not in a file whose name was removed. */
  get isSound(): boolean {
    const fd = this.#fd;
    return fd !== undefined && attemptOf(() => this.#files.leads(this.#path, fd)) === true;
  }

  /** Opens the file that was read as `text`, if the disk takes no new one; cuts off an incomplete last line. */
  reopen(text: string): void {
    const files = this.#files;
    const fd = files.open(this.#path, "a", 0o600);
    this.#fd = fd;
    this.#length = Buffer.byteLength(text.slice(0, text.lastIndexOf("\n") + 1));
    const isAsRead = files.length(fd) === Buffer.byteLength(text);
    if (!isAsRead || !attempt(() => files.truncate(fd, this.#length))) this.close();
  }

  /** When it returns, the line survives the process. When it throws, the file is unchanged, or marked as not sound. */
  append(text: string): void {
    const fd = this.#fd;
    if (fd === undefined) throw new Error(`${this.#path} is not open`);
    const bytes = Buffer.from(text);
    try {
      writeAll(this.#files, fd, bytes);
    } catch (error) {
      if (!attempt(() => this.#files.truncate(fd, this.#length))) this.close();
      throw error;
    }
    this.#length += bytes.length;
  }

  /** The whole file becomes this text; when it throws, the file and the open handle are unchanged. */
  rewrite(text: string): void {
    const fd = replacedFile(this.#files, this.#path, text);
    this.close();
    this.#fd = fd;
    this.#length = Buffer.byteLength(text);
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) attempt(() => this.#files.close(fd));
  }
}
