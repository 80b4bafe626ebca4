// Adopts strays: ports that the kernel has and the journal does not. A journal may have lost entries (a damaged disk,
// an old copy), and a file that ends early cannot be told from a whole one, so strays are adopted before a round may
// remove them. The endpoint of a stray is what the server has. Of a local network the server may not have heard yet, so
// there the kernel's own state is enough. A stray that neither explains is removed, and only if the snapshot is
// complete.
import type { KernelObject, ObjectOf } from "../../datapath/kinds.ts";
import { MARK, type Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { endpointElements } from "../../datapath/policy/spoofing.ts";
import { PROFILE_BITS } from "../../datapath/policy/tableParts.ts";
import { portName } from "../../datapath/state/names.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import { type Segment, segmentsOf } from "../../datapath/world/layout.ts";
import { nsOf } from "../../datapath/world/placement.ts";
import { segmentOwnerOf, type World, worldOf } from "../../datapath/world/world.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { contains, ipOf } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import { type Endpoint, endpointName, type Network, type Snapshot } from "../../model/resource.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { portsIn } from "./knownState.ts";
import { endpointsAtServer } from "./snapshotSource.ts";

type AdoptOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "ports" | "observe" | "netnsId" | "facts">;
  readonly journal: Journal;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
};

const ENDPOINT = `${MARK}:endpoint:`;

/** The far end of a stray, in a namespace that has a path. */
type Far = { readonly end: Veth["peer"]; readonly addresses: readonly string[]; readonly isWayOut: boolean };
/** `atServer`: what the server has, under its name on this host. */
type Stray = { readonly port: Veth; readonly name: string; readonly far: Far; readonly atServer: Endpoint | undefined };

export class Adopter {
  readonly #options: AdoptOptions;
  /** Ports that nothing explains: rounds remove them. */
  #unexplained: ReadonlySet<string> = new Set();
  /** Ports that could not be adopted, and why. */
  #failures = new Map<string, string>();
  /** Attached entries that had no port when strays were looked for, and no attach or detach at work. */
  #portless: readonly Entry[] = [];
  /** Whether every stray that can be adopted is; before that, an address that the journal has as free may be in use. */
  isDone = true;

  constructor(options: AdoptOptions) {
    this.#options = options;
  }

  /** A line for each port that could not be adopted. */
  get conditions(): readonly string[] {
    return [...this.#failures.values()];
  }

  /** Ports of endpoints that are neither in the journal nor being attached. */
  strays(actual: KernelState, inFlight: ReadonlySet<string>): readonly Veth[] {
    const known = new Set([...this.#options.journal.entries.keys(), ...inFlight].map(portName));
    const ports: Veth[] = [];
    for (const object of actual.values())
      if (object.kind === "veth" && object.alias.startsWith(ENDPOINT) && !known.has(object.name)) ports.push(object);
    if (ports.length > 0) this.#portless = portlessIn(this.#options.journal, actual, inFlight);
    return ports;
  }

  /**
   * Adopts what can be adopted; observe again afterwards. `isComplete`: the server does not have what the snapshot
   * lacks. Throws if the kernel cannot be read; then nothing may be removed. If the journal's disk refuses an entry,
   * its port stays as it is, for a later round.
   */
  async adopt(actual: KernelState, strays: readonly Veth[], snapshot: Snapshot, isComplete: boolean): Promise<void> {
    this.#unexplained = new Set();
    this.isDone = true;
    const seen = await this.#seen(strays, snapshot);
    const unexplained = new Set<string>();
    this.#failures = new Map();
    for (const port of strays) {
      const stray = seen.get(port.name);
      const found = stray === undefined ? undefined : this.#explained(stray, actual, snapshot, isComplete);
      if (typeof found === "string") {
        // Its security groups are not known, so without them it would be open: it is removed instead.
        this.#failures.set(port.name, found);
        unexplained.add(port.name);
      }
      if (typeof found === "object") this.#add(found, snapshot, port.name);
      else if (isComplete) unexplained.add(port.name);
    }
    this.#unexplained = unexplained;
  }

  /** The actual state without ports that nothing explains: these are removed also if the snapshot lacks something. */
  withoutUnexplained(actual: KernelState): KernelState {
    if (this.#unexplained.size === 0) return actual;
    return new Map([...actual].filter(([, one]) => one.kind !== "veth" || !this.#unexplained.has(one.name)));
  }

  /** The desired state with all strays as they are, except those that nothing explains. */
  withStrays(desired: KernelState, actual: KernelState, strays: readonly Veth[]): KernelState {
    const staying = strays.filter(({ name }) => !this.#unexplained.has(name));
    if (staying.length === 0) return desired;
    const names = new Set(staying.map(({ name }) => name));
    const isOf = (object: KernelObject) =>
      (object.kind === "veth" && names.has(object.name)) ||
      (object.kind === "element" && names.has(object.key.split(" . ")[0] ?? "")) ||
      ("dev" in object && names.has(object.dev));
    return new Map([...[...actual].filter(([, object]) => isOf(object)), ...desired]);
  }

  #add(endpoint: Endpoint, snapshot: Snapshot, port: string): void {
    const { journal, kernel, log } = this.#options;
    const { name, spec } = endpoint;
    const netnsId = kernel.netnsId(spec.netns);
    const networkUid = snapshot.networks.find((network) => network.name === spec.network)?.uid;
    if (netnsId === undefined || networkUid === undefined || journal.entries.has(name)) return;
    const { bootId } = kernel.facts();
    try {
      for (const entry of this.#portless.filter((one) => isContradicted(one, endpoint, netnsId))) {
        journal.put({ ...entry, state: "detaching" });
        log("disproved", { endpoint: entry.endpoint.name, by: name });
      }
      journal.put({ endpoint, netnsId, bootId, networkUid, state: "attached" });
      log("adopted", { endpoint: name, addresses: spec.addresses.join(", ") });
    } catch (error) {
      // A full disk must not keep rounds from changing the rest of the kernel.
      if (!(error instanceof Fault)) throw error;
      this.isDone = false;
      const what = "is in the kernel and cannot be put into the journal";
      this.#failures.set(port, `endpoint ${name} ${what}: ${error.message}`);
    }
  }

  /** The strays with their far ends, found by the paths that the server has, or that the ports' marks give. */
  async #seen(strays: readonly Veth[], snapshot: Snapshot): Promise<ReadonlyMap<string, Stray>> {
    const { kernel, host } = this.#options;
    const names = new Set(strays.map(({ name }) => name));
    const marked = (await kernel.ports()).flatMap(({ name, netns }) => (names.has(name) ? (netns ?? []) : []));
    const atServer = new Map<string, Endpoint>();
    for (const [name, endpoint] of endpointsAtServer(snapshot, host))
      if (names.has(portName(name))) atServer.set(portName(name), { ...endpoint, name });
    const paths = new Set([...marked, ...atServer.values().map(({ spec }) => spec.netns)]);
    const observed = await kernel.observe([...paths].filter((path): path is Ns & `/${string}` => path.startsWith("/")));
    const seen = new Map<string, Stray>();
    for (const port of observed.values()) {
      const isAlive = port.kind === "veth" && names.has(port.name) && port.peer.ns.startsWith("/");
      // An observation that does not know where a far end is says `/` for its namespace.
      if (!isAlive || port.peer.ns === "/") continue;
      const name = port.alias.slice(ENDPOINT.length);
      seen.set(port.name, { port, name, far: farIn(observed, port), atServer: atServer.get(port.name) });
    }
    return seen;
  }

  /** The endpoint of a stray; or why it cannot be adopted; or undefined, if nothing explains it. */
  #explained(
    stray: Stray,
    actual: KernelState,
    snapshot: Snapshot,
    isComplete: boolean,
  ): Endpoint | string | undefined {
    const { far, atServer } = stray;
    if (atServer === undefined) return this.#fromKernel(stray, actual, snapshot);
    const { spec } = atServer;
    const ipam = snapshot.networks.find(({ name }) => name === spec.network)?.spec.ipam;
    const isThere = spec.netns === far.end.ns && spec.ifname === far.end.name;
    const isSame = spec.addresses.every((address) => far.addresses.includes(address));
    // In a global network the server decides, also if the agent died before the addresses were in the kernel.
    const isGranted = isComplete && ipam === "global";
    if (isThere && (isSame || isGranted)) return spec.detaching === true && isComplete ? undefined : atServer;
    return ipam === "local" ? this.#fromKernel(stray, actual, snapshot) : undefined;
  }

  /** An endpoint of a local network, read from its port: its addresses are from this host's own block. */
  #fromKernel({ port, name, far }: Stray, actual: KernelState, snapshot: Snapshot): Endpoint | string | undefined {
    const { host } = this.#options;
    const world = worldOf(snapshot, host);
    const bridge = world === undefined ? undefined : bridgeOf(world, port);
    const owner = name.slice(0, -far.end.name.length - 1);
    if (world === undefined || bridge === undefined || portName(name) !== port.name) return undefined;
    const addresses = this.#leased(bridge, far);
    if (addresses === undefined || endpointName(owner, far.end.name) !== name) return undefined;
    const { slice } = bridge.segment;
    const network = bridge.network.name;
    const { name: ifname, ns: netns, mac } = far.end;
    const where = { network, host, owner, ifname, netns, mac, addresses };
    const spec = {
      ...where,
      ...(slice === undefined ? {} : { slice }),
      ...(far.isWayOut ? {} : { defaultRoute: false }),
    };
    const { revision } = snapshot;
    const endpoint: Endpoint = { kind: "endpoint", name, uid: `adopted-${port.name}`, revision, spec };
    return isFiltered(world, bridge, endpoint, actual) ? cannotTell(endpoint) : endpoint;
  }

  /** One address per family of the segment; none of another endpoint that has a port. */
  #leased({ network, segment }: LocalBridge, far: Far): readonly string[] | undefined {
    const used = this.#options.journal.used(network.name);
    const isPortless = (text: string) => this.#portless.some((one) => hasAddress(one, network.name, text));
    const addresses = segment.prefixes.map(({ cidr }) =>
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

/** Whether a portless entry has the link or an address of a port: its endpoint was detached since it was written. */
function isContradicted(entry: Entry, { spec }: Endpoint, netnsId: string): boolean {
  const isSameLink = entry.netnsId === netnsId && entry.endpoint.spec.ifname === spec.ifname;
  return isSameLink || spec.addresses.some((address) => hasAddress(entry, spec.network, address));
}

type LocalBridge = { readonly network: Network; readonly segmentOwner: Network; readonly segment: Segment };

/** The local network to whose bridge on this host a port belongs. */
function bridgeOf(world: World, port: Veth): LocalBridge | undefined {
  const vrf = world.vrfs.find((each) => nsOf(each) === port.ns);
  if (vrf === undefined) return undefined;
  for (const network of world.networks.get(vrf.name) ?? []) {
    if (network.spec.ipam !== "local") continue;
    const blocks = (world.blocks.get(network.name) ?? []).filter(({ spec }) => spec.host === world.self.name);
    const segmentOwner = segmentOwnerOf(world, vrf, network);
    const segment = segmentsOf(vrf, segmentOwner, world.self, blocks).find(({ bridge }) => bridge === port.master);
    if (segment !== undefined) return { network, segmentOwner, segment };
  }
  return undefined;
}

function farIn(observed: KernelState, port: Veth): Far {
  const { ns, name } = port.peer;
  const addresses: string[] = [];
  let isWayOut = false;
  for (const object of observed.values()) {
    if (object.ns !== ns || !("dev" in object) || object.dev !== name) continue;
    if (object.kind === "address") addresses.push(object.cidr.slice(0, object.cidr.indexOf("/")));
    if (object.kind === "route" && /^(0\.0\.0\.0|::)\/0$/.test(object.dst)) isWayOut = true;
  }
  return { end: port.peer, addresses, isWayOut };
}

/**
 * Whether the kernel filters the port by security groups that this host does not know: adopted without them, it would
 * let in what they keep out. A port without a packet mark passes nothing, and may have had groups, too.
 */
function isFiltered(
  world: World,
  { network, segmentOwner }: LocalBridge,
  endpoint: Endpoint,
  actual: KernelState,
): boolean {
  const vrf = world.vrfs.find(({ name }) => name === network.spec.vrf);
  const wanted = vrf === undefined ? [] : endpointElements(world, vrf, segmentOwner, endpoint);
  const packetMark = wanted.find(({ set }) => set === "ports");
  const now = packetMark === undefined ? undefined : actual.get(keyOf(packetMark));
  return now?.kind !== "element" || profileIn(now) !== profileIn(packetMark);
}

function profileIn(packetMark: ObjectOf<"element"> | undefined): number {
  return Number.parseInt(packetMark?.value ?? "0", 16) & PROFILE_BITS;
}

function cannotTell({ name, spec }: Endpoint): string {
  return (
    `endpoint ${name} (${spec.addresses.join(", ")}) is in the kernel and in no journal, and its security groups are ` +
    "not known: its port was removed, because it would be open; attach it again"
  );
}
