// What the datapath has to know about a kind of kernel object, as one record per kind; ../kinds.ts is the table of
// them. The other half, how a kind gets into the kernel and is read back, is in kernel/kinds/.

/** Links, tables and namespaces of Weft are recognised by this mark. */
export const MARK = "weft";
/**
 * Routes of ours in the main table, addresses (since Linux 5.18) and next hops are recognised by this number
 * (rtm_protocol; unassigned in iproute2's rt_protos).
 */
export const WEFT_PROTOCOL = 87;

/**
 * Which network namespace an object is in:
 * `host` the host's own; `vrf:<name>` the namespace of a VRF, made and removed by Weft; an absolute path: a workload's.
 */
export type Ns = "host" | `vrf:${string}` | `/${string}`;

/** An interface as it is seen in one namespace. */
type Device = { readonly ns: Ns; readonly name: string };

export type AnyObject = { readonly kind: string; readonly ns: Ns };

/** Links have names and carry other objects; entries are on a link and go with it; all else stands by itself. */
export type Role<T> = T extends { readonly alias: string }
  ? "link"
  : T extends { readonly dev: string }
    ? "entry"
    : "alone";

/**
 * Where packets that come in on a link go on: to a port of a bridge, to the other namespace of a pair, through a tunnel
 * to other hosts (its FDB says to which) or to one, or nowhere by themselves.
 */
export type LeadsTo = "ports" | "namespace" | "hosts" | "peer" | "nowhere";

/** Layers of removals: links go before anything new is made, as a new one may need the name; the rest goes last. */
export const LAST = 20;

export interface Kind<T extends AnyObject> {
  readonly role: Role<T>;
  /** Its place in the order of operations when it is made or changed, from namespaces (0) up to routes (8). */
  readonly layer: number;
  /** The same when it is removed. */
  readonly removal: (object: T) => number;
  /** The same of one change, where that is not the layer. */
  readonly changeLayer: (from: T, to: T) => number;
  /** False for what has no absent state: it stays when it is no longer wanted. */
  readonly isRemovable: boolean;
  /** What makes two objects the same one; everything else is a value that can be changed in place. */
  readonly key: (object: T) => string;
  /**
   * The place that the kernel has only once: a new object in it replaces the old one, by a `set`. Undefined: there is
   * no such place, or the key says it all.
   */
  readonly slot: (object: T) => string | undefined;
  /** The devices that a link is, a pair at both ends: they go with it, and with them all that is on them. */
  readonly devices: (object: T) => readonly Device[];
  /** The device below a link, with which it goes. */
  readonly below: (object: T) => Device | undefined;
  readonly leadsTo: LeadsTo;
  readonly isSame: (a: T, b: T) => boolean;
  readonly print: Print<T>;
}

/** The commands that make an object, change it in place and remove it; `shell` is of the object's namespace. */
export type Print<T> = {
  readonly add: (object: T, shell: Shell) => readonly string[];
  readonly set: (from: T, to: T, shell: Shell) => readonly string[];
  readonly remove: (object: T, shell: Shell) => readonly string[];
};

/** How commands are called in a namespace. */
export type Shell = {
  readonly ip: string;
  readonly bridge: string;
  readonly tc: string;
  /** What stands before any other command. */
  readonly inside: string;
  /** The namespace as `ip netns` lists it; a workload's by its path unless it is one of those. */
  readonly name: string;
  /** In another namespace. */
  readonly at: (ns: Ns) => Shell;
};

/** A kind with what differs from most. Without a `set`, an object is changed as it is added. */
export type Definition<T extends AnyObject> = Pick<Kind<T>, "role" | "layer" | "key"> &
  Partial<Omit<Kind<T>, "print">> &
  Pick<Print<T>, "add" | "remove"> &
  Partial<Print<T>>;

/** Every record has all members in one order: the engine then reads each with one and the same code. */
export function defineKind<T extends AnyObject>(kind: Definition<T>): Kind<T> {
  const { role, layer, key, add, set = (_, to, shell) => add(to, shell), remove } = kind;
  return {
    role,
    layer,
    removal: kind.removal ?? (() => (role === "link" ? -layer : LAST - layer)),
    changeLayer: kind.changeLayer ?? (() => layer),
    isRemovable: kind.isRemovable ?? true,
    key,
    slot: kind.slot ?? (() => undefined),
    devices: kind.devices ?? (() => []),
    below: kind.below ?? (() => undefined),
    leadsTo: kind.leadsTo ?? "nowhere",
    isSame: kind.isSame ?? isEqual,
    print: { add, set, remove },
  };
}

/** Equal as values: flat records, and a record inside a record, such as the peer of a pair. */
export function isEqual(a: object, b: object): boolean {
  if (a === b) return true;
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  let count = 0;
  for (const field in left) {
    count++;
    const [value, other] = [left[field], right[field]];
    if (value === other) continue;
    if (typeof value !== "object" || value === null || typeof other !== "object" || other === null) return false;
    if (!isEqual(value, other)) return false;
  }
  for (const _ in right) count--;
  return count === 0;
}
