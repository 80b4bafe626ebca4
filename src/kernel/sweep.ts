// Removes links and namespaces. Deleting a link makes the caller wait for an RCU barrier (15-20 ms, after the kernel
// has let go of its lock), so all links of one call are put into a group and deleted with one message, by a thread of
// the pool. Each call has a fresh group number, so that links left behind by a crashed agent are never deleted with a
// later group.
import type { Ns } from "../datapath/kinds/kind.ts";
import { isLink } from "../datapath/state/state.ts";
import { Refused, isGone, refusalBy, refusalOf, refusalOfError } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import type { OpList } from "./opList.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { type LinkInfo, allLinks, deleteGroup, linkByName, setDown, setGroup } from "./netlink/link.ts";
import { BATCH_MESSAGES, NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

/** Namespaces swept at the same time; each waits in a thread of the pool. */
const CONCURRENCY = 16;

/** A link to remove: gone, or another's by now, is as good as removed. */
type NamedLink = { readonly name: string; readonly kind: string };

/** `number` gives a new number for a group of links, each time another. */
type Tools = { readonly namespaces: Namespaces; readonly number: () => number };

/** Consecutive removals of links, those of a namespace in one message, or of VRFs' namespaces: all side by side. */
export async function sweep(tools: Tools, list: OpList, places: readonly number[]): Promise<void> {
  const due = places.flatMap((at) => {
    const op = list.ops[at];
    return op !== undefined && list.isDue(at) ? [{ at, object: op.object }] : [];
  });
  const waiting = [...Map.groupBy(due, ({ object }) => object.ns)];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [ns, some] = next;
      const links = some.map(({ object }) => object).filter(isLink);
      const removed = links.length > 0 ? removeLinks(tools, ns, links) : removeNamespace(tools, ns);
      const refusal = await removed.catch(refusalOfError);
      for (const { at } of some) list.refuse(at, refusal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, waiting.length) }, worker));
}

/** Takes a link of ours down, which its far end cannot undo; gives a refusal if it may still carry something. */
export function cutOff(namespaces: Namespaces, ns: Ns, named: NamedLink): Refusal | undefined {
  return refusalBy(() =>
    namespaces.use(ns, (space) => {
      const { socket } = space;
      const index = indexOf(space, named);
      if (index === undefined) return;
      const w = new MessageWriter(128);
      setDown(w, socket.nextSeq(), index);
      socket.transact(w, (_seq, errno, text) => {
        if (!isGone(errno)) throw new Refused(refusalOf(errno, text));
      });
    }),
  );
}

/** Removes links of ours from one namespace; gives a refusal if some could not be removed. */
async function removeLinks({ namespaces, number }: Tools, ns: Ns, links: readonly NamedLink[]) {
  const found = namespaces.use(ns, (space) => {
    const indexes = links.map((link) => indexOf(space, link)).filter((index) => index !== undefined);
    for (const { name } of links) space.indexes.delete(name);
    return { indexes, socket: ownSocket(namespaces, space) };
  });
  return found === undefined ? undefined : await deleteGrouped(found.socket, found.indexes, number);
}

/** Removes a VRF's namespace with everything of ours in it. Not there, or not ours, is as good as removed. */
async function removeNamespace({ namespaces, number }: Tools, ns: Ns): Promise<Refusal | undefined> {
  const vrf = ns.slice("vrf:".length);
  const space = namespaces.vrf(vrf);
  if (space === undefined) return undefined;
  // The kernel does not let a device of Open vSwitch be deleted; it goes with its namespace.
  const isDeletable = (link: LinkInfo) => isOurs(link) && !link.isLoopback && link.kind !== "openvswitch";
  const links = space.socket.list(allLinks, isDeletable);
  const indexes = links.map(({ index }) => index);
  const refusal = await deleteGrouped(ownSocket(namespaces, space), indexes, number);
  // Links first: the kernel would remove them with the namespace, but later, in its own time.
  if (refusal === undefined) namespaces.remove(vrf);
  return refusal;
}

function indexOf(space: Space, { name, kind }: NamedLink): number | undefined {
  const link = space.socket.ask(linkByName(name));
  return link !== undefined && isOurs(link) && link.kind === kind ? link.index : undefined;
}

/** The space's own socket must stay free for others while the kernel keeps this one waiting. */
function ownSocket(namespaces: Namespaces, space: Space): NetlinkSocket {
  return namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_ROUTE));
}

/** Closes the socket. */
async function deleteGrouped(
  socket: NetlinkSocket,
  indexes: readonly number[],
  number: Tools["number"],
): Promise<Refusal | undefined> {
  let refusal: Refusal | undefined;
  try {
    const size = BATCH_MESSAGES - 1;
    for (let from = 0; from < indexes.length; from += size) {
      const w = new MessageWriter((size + 1) * 64);
      const group = number();
      for (const index of indexes.slice(from, from + size)) setGroup(w, socket.nextSeq(), index, group);
      deleteGroup(w, socket.nextSeq(), group);
      await socket.transactAsync(w, (_seq, errno, text) => {
        if (!isGone(errno)) refusal ??= refusalOf(errno, text);
      });
    }
  } finally {
    socket.close();
  }
  return refusal;
}
