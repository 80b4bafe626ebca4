// Removes links and namespaces. Deleting a link makes the caller wait for an RCU barrier (15-20 ms, after the kernel
// has let go of its lock), so all links of one call are put into a group and deleted with one message, by a thread of
// the pool. The group's number is new each time: a link that a killed agent left in a group is not taken along later by
// chance.
import type { Ns } from "../datapath/kinds/kind.ts";
import { GONE, refusalOf, refusalOfError } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { allLinks, deleteGroup, linkByName, readLink, setDown, setGroup } from "./netlink/link.ts";
import { BATCH_MESSAGES, NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

/** A link to remove: gone, or somebody else's by now, is as good as removed. */
export type Doomed = { readonly name: string; readonly kind: string };

/** Takes a link of ours down, which its far end cannot undo; gives a refusal if it may still carry something. */
export function cutOff(namespaces: Namespaces, ns: Ns, doomed: Doomed): Refusal | undefined {
  let refusal: Refusal | undefined;
  try {
    namespaces.use(ns, (space) => {
      const { socket } = space;
      const index = indexOf(space, doomed);
      if (index === undefined) return;
      const w = new MessageWriter(128);
      setDown(w, socket.nextSeq(), index);
      socket.transact(w, (_seq, errno, text) => {
        if (!GONE.has(errno)) refusal = refusalOf(errno, text);
      });
    });
  } catch (error) {
    return refusalOfError(error);
  }
  return refusal;
}

/** Removes links of ours from one namespace; gives a refusal if some could not be removed. */
export async function reapLinks(
  namespaces: Namespaces,
  ns: Ns,
  doomed: readonly Doomed[],
  group: () => number,
): Promise<Refusal | undefined> {
  const found = namespaces.use(ns, (space) => {
    const indexes = doomed.map((link) => indexOf(space, link)).filter((index) => index !== undefined);
    for (const { name } of doomed) space.indexes.delete(name);
    return { indexes, socket: ownSocket(namespaces, space) };
  });
  return found === undefined ? undefined : await reap(found.socket, found.indexes, group);
}

/** Removes a VRF's namespace with everything of ours in it. Not there, or not ours, is as good as removed. */
export async function reapNamespace(
  namespaces: Namespaces,
  vrf: string,
  group: () => number,
): Promise<Refusal | undefined> {
  const space = namespaces.vrf(vrf);
  if (space === undefined) return undefined;
  const indexes = space.socket.list(k.RTM_GETLINK, allLinks, (message) => {
    const link = readLink(message);
    return isOurs(link) && !link.isLoopback ? link.index : undefined;
  });
  const refusal = await reap(ownSocket(namespaces, space), indexes, group);
  // Links first: the kernel would remove them with the namespace, but later, in its own time.
  if (refusal === undefined) namespaces.remove(vrf);
  return refusal;
}

function indexOf(space: Space, { name, kind }: Doomed): number | undefined {
  const link = space.socket.ask(k.RTM_GETLINK, (w) => linkByName(w, name), readLink);
  return link !== undefined && isOurs(link) && link.kind === kind ? link.index : undefined;
}

/** The space's own socket must stay free for others while the kernel keeps this one waiting. */
function ownSocket(namespaces: Namespaces, space: Space): NetlinkSocket {
  return namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_ROUTE));
}

/** Closes the socket. */
async function reap(
  socket: NetlinkSocket,
  indexes: readonly number[],
  group: () => number,
): Promise<Refusal | undefined> {
  let refusal: Refusal | undefined;
  try {
    const size = BATCH_MESSAGES - 1;
    for (let from = 0; from < indexes.length; from += size) {
      const w = new MessageWriter((size + 1) * 64);
      const number = group();
      for (const index of indexes.slice(from, from + size)) setGroup(w, socket.nextSeq(), index, number);
      deleteGroup(w, socket.nextSeq(), number);
      await socket.transactAsync(w, (_seq, errno, text) => {
        if (!GONE.has(errno)) refusal ??= refusalOf(errno, text);
      });
    }
  } finally {
    socket.close();
  }
  return refusal;
}
