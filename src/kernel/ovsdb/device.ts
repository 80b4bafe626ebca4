// The device of an internal port: Open vSwitch makes it in the host's namespace, and Weft moves it to where its bridge
// is, with its mark in the same message. With the kernel's datapath it stays there whatever happens to ovs-vswitchd.
// With the datapath of ovs-vswitchd it is a tap, which a daemon that starts again does not find there: the daemon makes
// another, and the old one, which has no carrier any more, is removed.
import type { OvsDevice } from "../../datapath/kinds/openVswitch.ts";
import { Refused, refuse, refusalOf } from "../errno.ts";
import type { Refusal } from "../kernel.ts";
import type { Namespaces, Space } from "../namespaces.ts";
import { type LinkInfo, deleteLink, linkByIndex, linkByName, moveLink, releaseLink, setLink } from "../netlink/link.ts";
import { MessageWriter } from "../netlink/wire.ts";
import { isOurs } from "../ownership.ts";
import { DEAD, type OpenVswitch } from "./openVswitch.ts";

type Tools = { readonly namespaces: Namespaces; readonly ovs: OpenVswitch };

/** The kernel's names for what Open vSwitch makes: of the kernel's datapath, and of the other. */
const DEVICE_KINDS = ["openvswitch", "tun"];

/** Brings the device to its namespace, with its mark; what else it should be is set there. Throws Refused. */
export async function moveDevice(tools: Tools, object: OvsDevice): Promise<void> {
  const { ovs, namespaces } = tools;
  await ovs.wanted();
  if (isInUse(tools, object)) return;
  const hasEnded = () => newDevice(tools, object) !== undefined || !ovs.hasPort(object.name);
  if (!(await ovs.until(hasEnded))) {
    await ovs.remake(object.name);
    await ovs.until(hasEnded);
  }
  const found = newDevice(tools, object);
  if (found === undefined) throw new Refused(ovs.troubleOf(object.name) ?? (ovs.isDead ? DEAD : without(object.name)));
  if (object.ns === "host") {
    send(namespaces.host, (w, seq) => setLink(w, seq, found.index, { alias: object.alias }));
    return;
  }
  namespaces.inside(object.ns, (space) => {
    makeRoom(space, object.name);
    send(namespaces.host, (w, seq) => moveLink(w, seq, found.index, { fd: space.fd, alias: object.alias }));
    space.indexes.delete(object.name);
  });
}

/** Takes the device out of its bridge, down and without its mark; it goes with its port. Throws Refused. */
export async function releaseDevice({ namespaces }: Tools, { ns, name }: OvsDevice): Promise<void> {
  await Promise.resolve();
  namespaces.use(ns, (space) => {
    const link = space.socket.ask(linkByName(name));
    if (link === undefined || !isOurs(link) || !DEVICE_KINDS.includes(link.kind)) return;
    space.indexes.delete(name);
    send(space, (w, seq) => releaseLink(w, seq, link.index));
  });
}

/** Whether the device is where it should be, and Open vSwitch has it open. */
function isInUse({ namespaces }: Tools, object: OvsDevice): boolean {
  const hasCarrier = namespaces.use(object.ns, (space) => {
    const link = space.socket.ask(linkByName(object.name));
    // In the host's namespace the mark tells it from another's; in a VRF's, everything is ours.
    const isMeant = link !== undefined && (object.ns !== "host" || isOurs(link));
    if (!isMeant || !DEVICE_KINDS.includes(link.kind)) return false;
    // While it is down it has no carrier.
    send(space, (w, seq) => setLink(w, seq, link.index, { alias: object.alias }));
    return space.socket.ask(linkByIndex(link.index))?.hasCarrier === true;
  });
  return hasCarrier === true;
}

/** A device of the port that stands in the host's namespace. */
function newDevice({ namespaces, ovs }: Tools, { name }: OvsDevice): LinkInfo | undefined {
  const index = ovs.deviceOf(name);
  const link = index === undefined ? undefined : namespaces.host.socket.ask(linkByIndex(index));
  return link?.name === name && DEVICE_KINDS.includes(link.kind) ? link : undefined;
}

/** Removes what an earlier ovs-vswitchd has left under this name. */
function makeRoom(space: Space, name: string): void {
  const link = space.socket.ask(linkByName(name));
  if (link === undefined) return;
  if (link.kind !== "tun") refuse("exists", `${name} in ${space.ns} is a ${link.kind}`);
  send(space, (w, seq) => deleteLink(w, seq, link.index));
}

function without(name: string): Refusal {
  return { class: "missing", message: `Open vSwitch has made no device ${name}` };
}

function send(space: Space, write: (w: MessageWriter, seq: number) => void): void {
  const w = new MessageWriter(1024);
  write(w, space.socket.nextSeq());
  space.socket.transact(w, (_seq, errno, text) => {
    throw new Refused(refusalOf(errno, text));
  });
}
