// The line between a simulated host and its server: requests, answers and change sets are late, lost, doubled, or cut.
import type { Proof } from "../../../src/client/hostCredential.ts";
import type { Heard, Transport } from "../../../src/client/transport.ts";
import type { Control } from "../../../src/control/control.ts";
import type { Outcome } from "../../../src/control/write.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { ChangeSet, Endpoint, Network } from "../../../src/model/resource.ts";
import { type Host, proposedBy } from "./host.ts";
import type { TlsLine, TlsServer } from "./tls.ts";

export type Wire = {
  readonly clock: Clock;
  readonly random: (n: number) => number;
  readonly control: Control | undefined;
  /** Chance in a hundred that a request or its answer is lost. */
  readonly lossPercent: number;
  readonly repeatsReports: boolean;
  /** Undefined in a world whose hosts have tokens. */
  readonly tls?: TlsServer | undefined;
};
/** A host, as far as its line goes. */
export type Party = Pick<Host, "name" | "credential" | "proposal" | "isCut" | "heardAtMs" | "refused"> & {
  readonly line?: TlsLine | undefined;
};

export const away = () => new Fault("unavailable", { what: "the line is cut", fix: "wait" });
/** What goes over a line is a copy. */
const copy = <T>(value: T): T => structuredClone(value);

/** The line of one host: each request, and each answer, may be lost; a cut line loses all and ends its watches. */
export function lineOf(wire: Wire, host: Party): Transport {
  const { line } = host;
  const sent = async <T>(call: (control: Control) => Promise<T>): Promise<T> => {
    await wire.clock.sleep(1 + wire.random(5));
    const { control } = wire;
    if (control === undefined || host.isCut || wire.random(100) < wire.lossPercent) throw away();
    const answer = await call(control);
    await wire.clock.sleep(wire.random(5));
    if (wire.control !== control || host.isCut || wire.random(100) < wire.lossPercent) throw away();
    return copy(answer);
  };
  const ask = async <T>(call: (control: Control) => Promise<T>, proof?: Proof): Promise<T> => {
    try {
      return await sent(call);
    } catch (error) {
      line?.refused(error, proof);
      if (host.isCut) line?.close();
      throw error;
    }
  };
  const viewer = (control: Control) => viewerOf(wire, control, host);
  return {
    join: async (claim) => {
      const proof = line?.credential.proof;
      const joined = await ask(async (control) => {
        if (line !== undefined && wire.tls !== undefined)
          return { ...(await line.join(wire.tls, copy(claim), proof ?? "token")), ...heardBy(control) };
        const asked = control.join(copy(claim), host.credential, proposedBy(host));
        host.refused = await asked.then(
          () => undefined,
          (error: unknown) => error,
        );
        const { token: certificate, ...rest } = await asked;
        return { ...rest, certificate, ...heardBy(control) };
      }, proof);
      line?.joined(joined);
      return joined;
    },
    isDue: () => line?.isDue() ?? false,
    snapshot: (known) => ask((control) => control.snapshot(viewer(control), known)),
    async *watch(from, signal, history) {
      try {
        yield* watch(wire, host, from, { signal, history });
      } catch (error) {
        line?.refused(error);
        throw error;
      }
    },
    reconnect: () => line?.close(),
    report: async (report) => {
      const heard = await ask(async (control): Promise<Heard> => {
        viewer(control);
        const issuer = wire.tls === undefined ? undefined : line?.caller(wire.tls).shown.certificate?.issuer();
        const sent = copy(report);
        if (wire.repeatsReports && wire.random(8) === 0)
          void wire.clock
            .sleep(wire.random(400))
            .then(() => wire.control?.report(sent))
            .catch(() => undefined);
        await control.report(copy(report), issuer);
        host.heardAtMs = wire.clock.nowMs();
        const ca = control.authority?.pin;
        return { ...heardBy(control), ...(ca === undefined ? {} : { ca }) };
      });
      line?.credential.heardSigner(heard.ca);
      return heard;
    },
    answer: (answer) =>
      ask((control) => {
        viewer(control);
        return Promise.resolve(control.answer(host.name, copy(answer)));
      }),
    attach: (claim, granted) =>
      ask(async (control) => {
        const write = { verb: "attach", claim: copy(claim), by: viewer(control) } as const;
        if (granted === undefined) return (await control.write(write)).resource as Endpoint;
        const decided = ({ resource }: Outcome) => {
          const early = copy(resource as Endpoint);
          void wire.clock.sleep(wire.random(5)).then(() => !host.isCut && granted(early));
        };
        // It dies with what it has granted: nothing of that is on its disk.
        const isForgotten = wire.random(100) < wire.lossPercent;
        if (isForgotten) {
          decided(await control.write(write, { dryRun: true }));
          await wire.clock.sleep(wire.random(10));
          throw away();
        }
        return (await control.write(write, { decided })).resource as Endpoint;
      }),
    attachAnywhere: (claim) =>
      ask(async (control) => {
        const write = { verb: "attach", claim: copy(claim), by: viewer(control) } as const;
        return (await control.write(write)).resource as Endpoint | Network;
      }),
    detach: (endpoint) =>
      ask(async (control) => {
        const by = viewer(control);
        await control.write({ verb: "detach", endpoint, by }).catch((error: unknown) => {
          if (!(error instanceof Fault && error.reason === "endpoint-unknown")) throw error;
        });
      }),
    moved: (move, report) =>
      ask(async (control) => {
        await control.write({ verb: "move", move, report: copy(report), by: viewer(control) });
      }),
  };
}

/** Who the host is by the credential that its agent shows. */
function viewerOf({ tls }: Wire, control: Control, { credential, line }: Party) {
  const isSecure = line !== undefined && tls !== undefined;
  const by = isSecure ? line.caller(tls).caller.identity : control.identify(credential);
  if (by.role === "join" || by.role === "nobody") throw new Fault("forbidden", { what: "not joined", fix: "join" });
  return by;
}

async function* watch(
  wire: Wire,
  host: Party,
  from: number,
  { signal, history }: { readonly signal: AbortSignal; readonly history: string | undefined },
): AsyncGenerator<ChangeSet> {
  const { control } = wire;
  if (control === undefined || host.isCut) throw away();
  let heardAtMs = -1;
  for await (const set of control.watch(from, viewerOf(wire, control, host), signal, history)) {
    // A line is late, not narrow: sets that were made while one was on its way arrive with it.
    if (wire.clock.nowMs() > heardAtMs) await wire.clock.sleep(wire.random(20), signal);
    heardAtMs = wire.clock.nowMs();
    if (wire.control !== control || host.isCut || wire.random(100) < wire.lossPercent) throw away();
    yield copy(set);
    if (wire.random(20) === 0) yield copy(set);
  }
  if (!signal.aborted) throw away();
}

function heardBy({ liveness: { suspectAfterMs, reclaimAfterMs } }: Control): Heard {
  return { suspectAfterMs, ...(reclaimAfterMs === undefined ? {} : { reclaimAfterMs }) };
}
