// Ports that the kernel has and the journal does not know. A journal may have lost what it said of them (a disk, a
// hand), and nobody can see that of a file that ends early: so they are taken in again before a round may remove them.
// What an endpoint is, the server says; of a local network's the kernel alone, because its server may never have heard
// of it. Only what neither explains is removed, and only when the server's word is complete and current.
import { segmentsOf, type Segment } from "../../datapath/world/layout.ts";
import { portName } from "../../datapath/state/names.ts";
import { endpointElements } from "../../datapath/policy/spoofing.ts";
import type { KernelObject, ObjectOf } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { MARK } from "../../datapath/kinds/mark.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import { PROFILE_BITS } from "../../datapath/policy/tableParts.ts";
import { segmentOwner, type World, worldOf } from "../../datapath/world/world.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { contains, ipOf } from "../../model/address.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import { Fault } from "../../model/fault.ts";
import { type Endpoint, type Network, type Snapshot, endpointName } from "../../model/resource.ts";
import { portsIn } from "./knownState.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { ownOf } from "./localSnapshot.ts";

type AdoptOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "ports" | "observe" | "netnsId" | "facts">;
  readonly journal: Journal;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

const ENDPOINT = `${MARK}:endpoint:`;

/** What the far end of a stray is: in a namespace that has a path, or its workload is no longer. */
type Far = { readonly end: Veth["peer"]; readonly addresses: readonly string[]; readonly isWayOut: boolean };
type Stray = { readonly port: Veth; readonly name: string; readonly far: Far };

export class Adopter {
  readonly #options: AdoptOptions;
  /** Ports of which is known that nothing explains them: a round may remove them. */
  #unexplained: ReadonlySet<string> = new Set();
  /** Ports that were there and could not be taken in, and why. */
  #kept = new Map<string, string>();
  /** Attached entries that had no port when strays were looked for, and nobody at work on one. */
  #portless: readonly Entry[] = [];
  /** Whether the journal has all that could be taken in: before that, what it knows as free may be in use. */
  isDone = true;

  constructor(options: AdoptOptions) {
    this.#options = options;
  }

  /** A line for each port that could not be taken in. */
  get conditions(): readonly string[] {
    return [...this.#kept.values()];
  }

  /** Ports of endpoints that are not in the journal, nor on their way into it. */
  strays(actual: KernelState, inFlight: ReadonlySet<string>): readonly Veth[] {
    const known = new Set([...this.#options.journal.entries.keys(), ...inFlight].map(portName));
    const ports: Veth[] = [];
    for (const object of actual.values())
      if (object.kind === "veth" && object.alias.startsWith(ENDPOINT) && !known.has(object.name)) ports.push(object);
    if (ports.length > 0) this.#portless = portlessIn(this.#options.journal, actual, inFlight);
    return ports;
  }

  /**
   * Takes into the journal what can be; a round after it must look anew. `isCurrent`: the snapshot is complete, and
   * what is not in it is gone. Throws if the kernel cannot be read; then nothing may be removed. A port that the
   * journal's disk refuses stays as it is, until a later round.
   */
  async adopt(actual: KernelState, strays: readonly Veth[], snapshot: Snapshot, isCurrent: boolean): Promise<void> {
    this.#unexplained = new Set();
    this.isDone = true;
    const seen = await this.#seen(strays, snapshot);
    const unexplained = new Set<string>();
    this.#kept = new Map();
    for (const port of strays) {
      const stray = seen.get(port.name);
      const found = stray === undefined ? undefined : this.#explained(stray, actual, snapshot, isCurrent);
      if (typeof found === "string") {
        // The tables lose its groups' rules with it: it goes, rather than that it is open.
        this.#kept.set(port.name, found);
        unexplained.add(port.name);
      }
      if (typeof found === "object") this.#tryTake(found, snapshot, port.name);
      else if (isCurrent) unexplained.add(port.name);
    }
    this.#unexplained = unexplained;
  }

  /** What is known to be there, without what is to go whatever the server says. */
  withoutUnexplained(actual: KernelState): KernelState {
    if (this.#unexplained.size === 0) return actual;
    return new Map([...actual].filter(([, one]) => one.kind !== "veth" || !this.#unexplained.has(one.name)));
  }

  /** The desired state with strays as they are, but for those that nothing explains. */
  withStrays(desired: KernelState, actual: KernelState, strays: readonly Veth[]): KernelState {
    const kept = strays.filter(({ name }) => !this.#unexplained.has(name));
    if (kept.length === 0) return desired;
    const names = new Set(kept.map(({ name }) => name));
    const isOf = (object: KernelObject) =>
      (object.kind === "veth" && names.has(object.name)) ||
      (object.kind === "element" && names.has(object.key.split(" . ")[0] ?? "")) ||
      ("dev" in object && names.has(object.dev));
    return new Map([...[...actual].filter(([, object]) => isOf(object)), ...desired]);
  }

  /** A disk that takes nothing must not keep the rest of the kernel from its changes. */
  #tryTake(endpoint: Endpoint, snapshot: Snapshot, port: string): void {
    try {
      this.#take(endpoint, snapshot);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.isDone = false;
      this.#kept.set(
        port,
        `endpoint ${endpoint.name} is in the kernel and cannot be put into the journal: ${error.message}`,
      );
    }
  }

  #take(endpoint: Endpoint, snapshot: Snapshot): void {
    const { journal, kernel, log } = this.#options;
    const netnsId = kernel.netnsId(endpoint.spec.netns);
    const networkUid = snapshot.networks.find((network) => network.name === endpoint.spec.network)?.uid;
    if (netnsId === undefined || networkUid === undefined || journal.entries.has(endpoint.name)) return;
    const { bootId } = kernel.facts();
    for (const entry of this.#portless.filter((one) => isContradicted(one, endpoint, netnsId))) {
      journal.put({ ...entry, state: "detaching" });
      log("disproved", { endpoint: entry.endpoint.name, by: endpoint.name });
    }
    journal.put({ endpoint, netnsId, bootId, networkUid, state: "attached" } satisfies Entry);
    log("adopted", { endpoint: endpoint.name, addresses: endpoint.spec.addresses.join(", ") });
  }

  /** What the far ends are, found through the paths that the server, or the mark on them, gives. */
  async #seen(strays: readonly Veth[], snapshot: Snapshot): Promise<ReadonlyMap<string, Stray>> {
    const { kernel, host } = this.#options;
    const names = new Set(strays.map(({ name }) => name));
    const marked = (await kernel.ports()).flatMap(({ name, netns }) => (names.has(name) ? (netns ?? []) : []));
    const known = ownOf(snapshot, host).endpoints.filter(({ spec }) => names.has(portName(nameOnHost(spec))));
    const paths = new Set([...marked, ...known.map(({ spec }) => spec.netns)]);
    const look = await kernel.observe([...paths].filter((path): path is Ns & `/${string}` => path.startsWith("/")));
    const seen = new Map<string, Stray>();
    for (const port of look.values()) {
      const isAlive = port.kind === "veth" && names.has(port.name) && port.peer.ns.startsWith("/");
      // A look that does not know a far end says `/` for its namespace.
      if (!isAlive || port.peer.ns === "/") continue;
      seen.set(port.name, { port, name: port.alias.slice(ENDPOINT.length), far: farIn(look, port) });
    }
    return seen;
  }

  /** The endpoint that a stray is; why it stays without being one; or undefined, if nothing explains it. */
  #explained(stray: Stray, actual: KernelState, snapshot: Snapshot, isCurrent: boolean): Endpoint | string | undefined {
    const { host } = this.#options;
    const { port, far } = stray;
    const own = ownOf(snapshot, host).endpoints.map((one) => ({ ...one, name: nameOnHost(one.spec) }));
    const record = own.find(({ name }) => portName(name) === port.name);
    const network = snapshot.networks.find(({ name }) => name === record?.spec.network);
    const isThere = record?.spec.netns === far.end.ns && record.spec.ifname === far.end.name;
    const isSame = record?.spec.addresses.every((address) => far.addresses.includes(address)) === true;
    // Of a global network the server's word counts, also where the agent died before it was in the kernel.
    const isGranted = isCurrent && network?.spec.ipam === "global";
    if (record !== undefined && isThere && (isSame || isGranted))
      return record.spec.detaching === true && isCurrent ? undefined : record;
    if (record !== undefined && network?.spec.ipam !== "local") return undefined;
    return this.#fromKernel(stray, actual, snapshot);
  }

  /** An endpoint of a local network as its port says it: its addresses are of this host's own block. */
  #fromKernel({ port, name, far }: Stray, actual: KernelState, snapshot: Snapshot): Endpoint | string | undefined {
    const { host } = this.#options;
    const world = worldOf(snapshot, host);
    const place = world === undefined ? undefined : bridgeOf(world, port);
    const owner = name.slice(0, -far.end.name.length - 1);
    if (world === undefined || place === undefined || portName(name) !== port.name) return undefined;
    const addresses = this.#leased(place, far);
    if (addresses === undefined || endpointName(owner, far.end.name) !== name) return undefined;
    const { slice } = place.segment;
    const spec = {
      network: place.network.name,
      host,
      owner,
      ifname: far.end.name,
      netns: far.end.ns,
      mac: far.end.mac,
      addresses,
      ...(slice === undefined ? {} : { slice }),
      ...(far.isWayOut ? {} : { defaultRoute: false }),
    };
    const endpoint: Endpoint = {
      kind: "endpoint",
      name,
      uid: `adopted-${port.name}`,
      revision: snapshot.revision,
      spec,
    };
    return isFiltered(world, place, endpoint, actual) ? cannotTell(endpoint) : endpoint;
  }

  /** One address per family of the segment, none of them another's that has a port. */
  #leased({ network, segment }: LocalBridge, far: Far): readonly string[] | undefined {
    const used = this.#options.journal.used(network.name);
    const isPortless = (text: string) => this.#portless.some((one) => hasAddress(one, network.name, text));
    const addresses = segment.ranges.map(({ cidr }) =>
      far.addresses.find((text) => {
        const ip = ipOf(text);
        const isOf = ip !== undefined && contains(cidr, ip);
        return isOf && (!used.of(ip.family).has(ip.value) || isPortless(text));
      }),
    );
    return addresses.every((address) => address !== undefined) ? addresses : undefined;
  }
}

function portlessIn({ entries }: Journal, actual: KernelState, inFlight: ReadonlySet<string>): readonly Entry[] {
  const ports = portsIn(actual);
  return [...entries.values()].filter(
    ({ state, endpoint: { name } }) => state === "attached" && !inFlight.has(name) && !ports.has(portName(name)),
  );
}

function hasAddress({ endpoint: { spec } }: Entry, network: string, address: string): boolean {
  return spec.network === network && spec.addresses.includes(address);
}

/**
 * Whether an entry without a port has what a port has that is there: the entry is of an older journal, which somebody
 * has put back, and its endpoint was detached since.
 */
function isContradicted(entry: Entry, { spec }: Endpoint, netnsId: string): boolean {
  const isSameLink = entry.netnsId === netnsId && entry.endpoint.spec.ifname === spec.ifname;
  return isSameLink || spec.addresses.some((address) => hasAddress(entry, spec.network, address));
}

type LocalBridge = { readonly network: Network; readonly root: Network; readonly segment: Segment };

/** The local network whose bridge here a port is on. */
function bridgeOf(world: World, port: Veth): LocalBridge | undefined {
  const vrf = world.vrfs.find(({ name }) => `vrf:${name}` === port.ns);
  if (vrf === undefined) return undefined;
  for (const network of world.networks.get(vrf.name) ?? []) {
    if (network.spec.ipam !== "local") continue;
    const blocks = (world.blocks.get(network.name) ?? []).filter(({ spec }) => spec.host === world.self.name);
    const root = segmentOwner(world, vrf, network);
    const segment = segmentsOf(vrf, root, world.self, blocks).find(({ bridge }) => bridge === port.master);
    if (segment !== undefined) return { network, root, segment };
  }
  return undefined;
}

function farIn(look: KernelState, port: Veth): Far {
  const { ns, name } = port.peer;
  const addresses: string[] = [];
  let isWayOut = false;
  for (const object of look.values()) {
    if (object.ns !== ns || !("dev" in object) || object.dev !== name) continue;
    if (object.kind === "address") addresses.push(object.cidr.slice(0, object.cidr.indexOf("/")));
    if (object.kind === "route" && /^(0\.0\.0\.0|::)\/0$/.test(object.dst)) isWayOut = true;
  }
  return { end: port.peer, addresses, isWayOut };
}

/**
 * Whether the kernel filters its port by groups that nobody here knows: to take it in without them would let in what
 * they keep out. One that it does not judge at all is closed, and may have had groups, too.
 */
function isFiltered(world: World, { network, root }: LocalBridge, endpoint: Endpoint, actual: KernelState): boolean {
  const vrf = world.vrfs.find(({ name }) => name === network.spec.vrf);
  const wanted = vrf === undefined ? [] : endpointElements(world, vrf, root, endpoint);
  const mark = wanted.find(({ set }) => set === "ports");
  const now = mark === undefined ? undefined : actual.get(keyOf(mark));
  return now?.kind !== "element" || profileIn(now) !== profileIn(mark);
}

function profileIn(mark: ObjectOf<"element"> | undefined): number {
  return Number.parseInt(mark?.value ?? "0", 16) & PROFILE_BITS;
}

function cannotTell({ name, spec }: Endpoint): string {
  return (
    `endpoint ${name} (${spec.addresses.join(", ")}) is in the kernel and in no journal, and its security groups are ` +
    "not known: its port was removed, because it would be open; attach it again"
  );
}
