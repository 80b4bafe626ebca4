// The disk of the simulated server: a store in memory that can be set back to what it had earlier.
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";

const emptyStore = () => openMemoryStore({ cluster: "simulated", history: 64 });

export class ServerDisk {
  #inner = emptyStore();
  /** Every transaction that is on the disk. */
  readonly #written: Parameters<Store["commit"]>[] = [];
  /** The store on the disk, whichever that is now. */
  readonly store: Store;

  /** A commit waits for `ready`, and fails as it does. */
  constructor(ready: () => Promise<void>) {
    const inner = () => this.#inner;
    this.store = {
      cluster: inner().cluster,
      get revision() {
        return inner().revision;
      },
      read: () => inner().read(),
      commit: async (...written) => {
        await ready();
        const revisions = await inner().commit(...written);
        this.#written.push(written);
        return revisions;
      },
      watch: (from, signal) => inner().watch(from, signal),
      secret: (key) => inner().secret(key),
      leases: (query) => inner().leases(query),
      audit: {
        ends: () => inner().audit.ends(),
        rows: (span) => inner().audit.rows(span),
        trim: (nowMs) => inner().audit.trim(nowMs),
      },
      close: () => inner().close(),
    };
  }

  /** What the disk has now, to be restored later. */
  backup(): number {
    return this.#written.length;
  }

  async restore(backup: number): Promise<void> {
    this.#inner = emptyStore();
    this.#written.length = backup;
    for (const written of this.#written) await this.#inner.commit(...written);
  }
}
