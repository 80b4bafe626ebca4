// A file that grows by lines and is rewritten now and then. A line is in it whole or not at all: what a full disk took
// of one is cut off again. If even that is refused, nobody knows how the file ends, and the next line waits for a file
// that is written anew.
import { type Files, attempt, attemptOf, replacedFile, writeAll } from "./files.ts";

export class LineFile {
  readonly #files: Files;
  readonly #path: string;
  /** Undefined: there is none that a line could be added to. */
  #fd: number | undefined;
  #length = 0;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Whether lines can be added as it is, and be found again: not in a file that was removed under its name. */
  get isSound(): boolean {
    const fd = this.#fd;
    return fd !== undefined && attemptOf(() => this.#files.leads(this.#path, fd)) === true;
  }

  /**
   * Opens what is there, which was read as `text`, for a start on a disk that takes no new file; an end that is not a
   * line is cut off.
   */
  reopen(text: string): void {
    const files = this.#files;
    const fd = files.open(this.#path, "a", 0o600);
    this.#fd = fd;
    this.#length = Buffer.byteLength(text.slice(0, text.lastIndexOf("\n") + 1));
    const isAsRead = files.length(fd) === Buffer.byteLength(text);
    if (!isAsRead || !attempt(() => files.truncate(fd, this.#length))) this.close();
  }

  /** Survives the process when it returns. Throws with the file as it was, or not sound. */
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

  /** The whole file is this text; throws with the file, and what is open, as it was. */
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
