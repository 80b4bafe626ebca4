// Weft's server for the lease bench: the control plane over a store on disk and the API in front of it on loopback, as
// `weft server` puts them together. Takes leases itself for "at the control plane", and lets others take them over
// HTTP.
import { createApi } from "../../src/api/api.ts";
import { Control } from "../../src/control/control.ts";
import type { Clock } from "../../src/model/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { answering } from "./child.ts";
import { HOST, NETWORK, type ClaimsRun, claimOf, endpointOf, inFlight } from "./claims.ts";

/** Range of leases: from, and how many. */
export type Span = { readonly from: number; readonly count: number };
export type Question =
  | { readonly ask: "opened" }
  | ({ readonly ask: "take"; readonly clients: number } & Span)
  | ({ readonly ask: "giveBack" } & Span)
  | { readonly ask: "memory" };
export type Opened = { readonly port: number; readonly token: string; readonly startMs: number };
export type Answer = Opened | ClaimsRun | { readonly bytes: number };

const CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: () => new Promise<void>(() => {}),
};
const BY = { role: "host", host: HOST } as const;
const JOIN = "lease-bench-join-".padEnd(40, "x");

const [, , path = ""] = process.argv;
const startedMs = performance.now();
const store = openSqliteStore(path);
const control = await Control.open(store, { clock: CLOCK });
const startMs = performance.now() - startedMs;
if (control.revision === 0) await prepare();
const token = "lease-bench-host-".padEnd(40, "x");
await control.join({ host: HOST, underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] }, JOIN, token);
const api = createApi(control, { clock: CLOCK, version: "bench", onError: console.error });
const url = new URL(await api.listen({ host: "127.0.0.1", port: 0 }));

async function prepare(): Promise<void> {
  await control.setToken("join", JOIN);
  await control.write({
    verb: "put",
    kind: "network",
    name: NETWORK.name,
    spec: { ipam: "global", subnets: [NETWORK] },
  });
}

async function answer(question: Question): Promise<Answer> {
  switch (question.ask) {
    case "opened":
      return { port: Number(url.port), token, startMs };
    case "take": {
      const claims = numbersOf(question).map(claimOf);
      return inFlight(claims, question.clients, (claim) => control.write({ verb: "attach", claim, by: BY }));
    }
    case "giveBack":
      return inFlight(numbersOf(question).map(endpointOf), 256, (endpoint) =>
        control.write({ verb: "detach", endpoint, by: BY }),
      );
    case "memory":
      await globalThis.gc?.({ type: "major", execution: "async" });
      await globalThis.gc?.({ type: "major", execution: "async" });
      return { bytes: process.memoryUsage.rss() };
  }
}

function numbersOf({ from, count }: Span): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

answering(answer, async () => {
  await api.close();
  await control.close();
  await store.close();
});
