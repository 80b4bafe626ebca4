// Attaches to a network that the server selects (docs/selection.md). In a global network the server has made the
// endpoint then, and the attach by name that follows confirms it. In a local one this host allocates. Until the journal
// has the endpoint, its name is in flight: the comparison with the server must not release the lease meanwhile.
import { Fault } from "../../model/fault.ts";
import type { EndpointClaim } from "../../model/input.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import { onNetwork } from "../../model/selection.ts";
import type { Attachment } from "../../model/status.ts";
import type { EndpointParts } from "./parts.ts";

type Parts = Pick<EndpointParts, "view" | "journal" | "snapshots" | "transport" | "clock" | "pokeRegistrar">;
type Attach = (claim: EndpointClaim) => Promise<Attachment>;

/** How many local networks may turn out to be full. */
const TRIES_MAX = 32;

export async function attachSelected(
  parts: Parts,
  claim: EndpointClaim,
  name: string,
  attach: Attach,
): Promise<Attachment> {
  const { view, snapshots, transport } = parts;
  const passOver = [...(claim.passOver ?? [])];
  view.inFlight.add(name);
  try {
    for (let tries = 0; ; tries++) {
      snapshots.checkHistory();
      const selected = await transport.attachAnywhere({ ...claim, passOver });
      if (selected.kind === "endpoint") return await attachGranted(parts, claim, selected, attach);
      try {
        await seen(parts, selected.name);
        return await attach(onNetwork(claim, selected.name));
      } catch (error) {
        const isFull = error instanceof Fault && error.reason === "exhausted";
        if (!isFull || tries === TRIES_MAX) throw error;
        passOver.push(selected.name);
      }
    }
  } finally {
    view.inFlight.delete(name);
  }
}

/** The server has the lease: if the attach fails, it is released. */
async function attachGranted(parts: Parts, claim: EndpointClaim, { name, spec }: Endpoint, attach: Attach) {
  const { journal, transport, pokeRegistrar } = parts;
  try {
    await seen(parts, spec.network);
    return await attach(onNetwork(claim, spec.network));
  } catch (error) {
    if (!journal.entries.has(name)) await transport.detach(name).catch(pokeRegistrar);
    throw error;
  }
}

/** How long a network that the server has just made is waited for, and how often it is looked for. */
const SEEN_MS = 5_000;
const POLL_MS = 20;

/** Resolves when the snapshot has the network, or when it should have. */
async function seen({ snapshots, clock }: Parts, network: Network["name"]): Promise<void> {
  const isSeen = () => snapshots.current()?.networks.some(({ name }) => name === network) === true;
  for (let waited = 0; !isSeen() && waited < SEEN_MS; waited += POLL_MS) await clock.sleep(POLL_MS);
}
