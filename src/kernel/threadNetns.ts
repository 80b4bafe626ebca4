// The network namespace that the calling thread is in. It enters another only inside a synchronous block and always
// comes back: a thread of the pool that libuv started meanwhile would inherit the other namespace for ever. If coming
// back fails, nothing that this process does afterwards could be trusted, so it dies.
import * as libc from "./libc.ts";

export class ThreadNetns {
  readonly #home = libc.open("/proc/thread-self/ns/net");

  /** Runs `inside` in the namespace behind `fd`. `inside` must not start anything asynchronous. */
  within<T>(fd: number, inside: () => T): T {
    libc.setns(fd);
    return this.#thenHome(inside);
  }

  /** Runs `inside` in a new namespace, which lives as long as anything holds it. */
  inNew<T>(inside: () => T): T {
    libc.unshareNetwork();
    return this.#thenHome(inside);
  }

  #thenHome<T>(inside: () => T): T {
    try {
      return inside();
    } finally {
      this.#comeHome();
    }
  }

  #comeHome(): void {
    try {
      libc.setns(this.#home);
    } catch {
      process.abort();
    }
  }

  close(): void {
    libc.close(this.#home);
  }
}
