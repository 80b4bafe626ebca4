// What src/kernel has to know about a kind of kernel object: how it is made, changed, removed, read back and recognised
// as Weft's, and how the fake does it. The other half is datapath/kinds/kind.ts; ../kinds.ts is the table. linkKind()
// makes the record of a kind of links, entryKind() that of entries on links, aloneKind() that of any other; each
// demands what its kinds need.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { EntryObject, LinkObject, OpOn } from "../../datapath/state/state.ts";
import { EEXIST, refusalOf } from "../errno.ts";
import type { Refusal } from "../kernel.ts";
import type { Namespaces, Space } from "../namespaces.ts";
import type { NeighbourInfo } from "../netlink/entry.ts";
import type { LinkInfo } from "../netlink/link.ts";
import type { QueueInfo } from "../netlink/tc.ts";
import type { MessageWriter } from "../netlink/wire.ts";
import type { NftOf } from "../nft.ts";
import type * as offload from "../offload.ts";
import type { OpenVswitch } from "../ovsdb/openVswitch.ts";
import type { Events } from "./events.ts";
import type { Fake } from "./fake.ts";

/**
 * How operations reach the kernel. `messages`: gathered per namespace and sent together. `transaction`: tables and
 * their elements, one transaction per namespace. `links`, `namespaces`: removals, all at once, because each makes its
 * caller wait. `call`: one by one. `ovsdb`: the database of Open vSwitch, one transaction, and then what it made.
 */
export type Way = "messages" | "transaction" | "links" | "namespaces" | "call" | "ovsdb";

export type KernelKind<T extends KernelObject> = {
  readonly way: { readonly put: Way; readonly remove: Way };
  /** False: refused in a workload's namespace, where it would never be looked for. */
  readonly isInWorkloads: boolean;
  /** For `messages`: what an operation does, namespace by namespace. */
  readonly steps: (op: OpOn<T>, at: number) => Step[];
  /** For `call`. */
  readonly call: (op: OpOn<T>, namespaces: Namespaces, offload: Offload) => void;
  /**
   * What the kernel has when it says "it exists", which is never taken for success. Undefined: exactly the object asked
   * for. `said` are the kernel's words, often none.
   */
  readonly explain: (existing: Existing, object: T, said: string) => Refusal | undefined;
  /** How it is read back, and how a fresh agent without memory recognises it as Weft's. */
  readonly observe: Observe<T>;
  /** What the kernel tells when one changes; undefined if it tells nothing, or nftables does. */
  readonly events: Events | undefined;
  readonly fake: Fake<T>;
};

/** What one operation does in one namespace. */
export type Step = {
  /** Place of its operation in the list. */
  readonly at: number;
  readonly ns: Ns;
  readonly isRemoval: boolean;
  /** Writes the messages, or throws Refused having written none. */
  readonly encode: (context: StepContext) => void;
};

/** Its functions; the simulation imports this folder, and must not load libc. */
type Offload = typeof offload;

/** What a step may use while it is written. */
export type StepContext = {
  readonly w: MessageWriter;
  readonly space: Space;
  /** Checksums and their like, which ethtool sets. */
  readonly offload: Offload;
  /** Begins one more message of this step. */
  begin(type: number, flags: number): MessageWriter;
  /** Sequence number for one more. */
  seq(): number;
  /**
   * Index of a link of ours in this namespace; Refused if there is none, or a foreign one. Remembered ones may be
   * stale.
   */
  indexOf(name: string): number;
  /** The link as it is now. */
  link(name: string): LinkInfo | undefined;
  /** An index for a new link, and the note that it will have that name. */
  newIndex(ns: Ns, name: string): number;
  /** A descriptor of a namespace, valid until the batch is sent; Refused `missing` if there is none. */
  fdOf(ns: Ns): number;
  /** The namespace of a VRF or the host while it is open; Refused `missing` if there is none. */
  spaceOf(ns: Ns): Space;
  /** Id of the host's namespace in this one. */
  hostNsid(): number;
};

/** An operation that is a message, or a few, in the object's own namespace. */
export function oneStep<T extends KernelObject>(
  encode: (context: StepContext, op: OpOn<T>) => void,
): (op: OpOn<T>, at: number) => Step[] {
  return (op, at) => [
    { at, ns: op.object.ns, isRemoval: op.op === "remove", encode: (context) => encode(context, op) },
  ];
}

/** What is in one namespace, as far as it was asked for during a list of operations. */
export type Existing = {
  readonly space: Space;
  /** A table of the namespace: read once, or again where the first reading does not have what is looked for. */
  table<V>(name: string, read: () => V, has: (table: V) => boolean): V;
  /** The link of that name, for a refusal; empty if there is none. */
  linkText(ns: Ns, name: string): string;
};

/** One namespace while it is read. Its tables are dumped once, for all kinds that are in them. */
export type Reading = {
  readonly space: Space;
  /** A workload's: all in it but what hangs on our links is its own, and its root may be hostile. */
  readonly isWorkload: boolean;
  readonly isHost: boolean;
  /** Our links, and all veths. */
  readonly links: readonly LinkInfo[];
  /** Of all links, also of others'. */
  readonly linkNames: ReadonlyMap<number, string>;
  /** The indexes of ours and of veths. */
  readonly indexes: ReadonlySet<number>;
  /** Neighbours that are kept from outside. */
  neighbours(): readonly NeighbourInfo[];
  /** FDB entries of our bridges and tunnels. */
  fdb(): readonly NeighbourInfo[];
  /** Token buckets and ingress queues on our links. */
  queues(): readonly QueueInfo[];
  /** Whether the kernel writes checksums as packets enter a link. */
  readonly writesChecksums: (link: LinkInfo) => boolean;
};

/** A link that objects may be on: its namespace as Weft calls it, and its name. */
type On = { readonly ns: Ns; readonly dev: string };

type Readers = { readonly namespaces: Namespaces; readonly nft: NftOf; readonly ovs: OpenVswitch };

export type Observe<T> = {
  /** Of a kind that stands alone: the objects of a namespace. */
  readonly standing?: (space: Space, tools: Readers) => readonly T[];
  /** Of a kind of links: from one that is ours. `isExtra` is what isExtra() found when the namespace was read. */
  readonly link?: (link: LinkInfo, seen: SeenLink) => T;
  readonly isExtra?: (link: LinkInfo, space: Space, offload: Offload) => boolean;
  /** Of a kind of entries: those in a namespace that are ours if their link is, and the object that each is. */
  readonly entry?: EntryReader<T>;
};
export type EntryReader<T, I = Indexed> = {
  readonly list: (reading: Reading) => readonly I[];
  /** `nameOf`: name of another device of ours in that namespace. */
  readonly decode: (item: I, on: On, nameOf: (index: number) => string | undefined) => T;
  /** They are on links of others, too. */
  readonly isOnAnyLink: boolean;
};
export type Indexed = { readonly index: number };

/** What is known of a link beside itself. */
export type SeenLink = {
  readonly ns: Ns;
  /** Name, MTU (0 unless it is intact), MAC and mark. */
  common(isIntact: boolean): Pick<LinkObject, "ns" | "name" | "mtu" | "mac" | "alias">;
  /** The bridge that it is a port of. */
  readonly master: string | undefined;
  /** Of a pair, the far end, if its namespace was read. */
  readonly far: { readonly ns: Ns; readonly link: LinkInfo } | undefined;
  readonly isExtra: boolean;
  /** Name of a device of the host's namespace, by its index there. */
  hostLink(index: number): string;
  /** Of a link above another one: that one's name. */
  readonly below: string | undefined;
};

type Common = "way" | "steps" | "call" | "explain" | "isInWorkloads" | "events";

/** Every record has all members in one order: the engine then reads each with one and the same code. */
export function kernelKind<T extends KernelObject>(
  kind: Partial<Pick<KernelKind<T>, Common>> & Omit<KernelKind<T>, Common>,
): KernelKind<T> {
  return {
    way: kind.way ?? { put: "messages", remove: "messages" },
    isInWorkloads: kind.isInWorkloads ?? false,
    steps: kind.steps ?? (() => []),
    call: kind.call ?? (() => undefined),
    explain: kind.explain ?? ((_existing, _object, said) => refusalOf(EEXIST, said)),
    observe: kind.observe,
    events: kind.events,
    fake: kind.fake,
  };
}

/** A way to the kernel, with what it needs. */
type Sent<T extends KernelObject> =
  | { readonly way: { readonly put: "transaction" | "ovsdb"; readonly remove: "transaction" | "ovsdb" } }
  | ({ readonly way: { readonly put: "call"; readonly remove: "call" | "namespaces" } } & Pick<KernelKind<T>, "call">);

/** A kind whose objects are in a namespace by themselves. */
export function aloneKind<T extends Exclude<KernelObject, LinkObject | EntryObject>>(
  kind: Sent<T> & Pick<KernelKind<T>, "fake"> & Required<Pick<Observe<T>, "standing">>,
): KernelKind<T> {
  const { standing, ...rest } = kind;
  return kernelKind({ ...rest, isInWorkloads: true, observe: { standing } });
}
