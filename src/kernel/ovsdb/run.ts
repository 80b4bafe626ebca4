// Consecutive operations on Open vSwitch: its rows in one transaction, then the devices that it made of them, one by
// one. If the database refuses one row, the others are made without it.
import type { OvsBridge, OvsPort } from "../../datapath/kinds/openVswitch.ts";
import type { OpOn } from "../../datapath/state/state.ts";
import { isSame } from "../../datapath/state/diff.ts";
import { refusalOfError } from "../errno.ts";
import { usesOfHost } from "../hostUses.ts";
import type { Refusal } from "../kernel.ts";
import type { Namespaces } from "../namespaces.ts";
import { linkByName } from "../netlink/link.ts";
import type { OpList } from "../opList.ts";
import type { Operation } from "./client.ts";
import { datapathIn } from "./datapath.ts";
import { moveDevice, releaseDevice } from "./device.ts";
import type { OpenVswitch } from "./openVswitch.ts";
import type { Replica } from "./replica.ts";
import { changePort, makeBridge, makePort, markBridge, objectsIn, removeBridge, removePort, rowOf } from "./rows.ts";
import { textsIn } from "./values.ts";

type Tools = { readonly namespaces: Namespaces; readonly ovs: OpenVswitch };

/** Gives the places of devices that are where they should be now: what else they should be is to be set. */
export async function runOvs(tools: Tools, list: OpList, places: readonly number[]): Promise<readonly number[]> {
  const placed: number[] = [];
  let rows: number[] = [];
  for (const at of places) {
    const op = list.ops[at];
    if (op?.object.kind !== "openvswitch") {
      rows.push(at);
      continue;
    }
    await changeRows(tools, list, rows);
    rows = [];
    if (!list.isDue(at)) continue;
    const done = op.op === "remove" ? releaseDevice(tools, op.object) : moveDevice(tools, op.object);
    const refusal = await done.then(() => undefined, refusalOfError);
    list.refuse(at, refusal);
    if (refusal === undefined && op.op !== "remove") placed.push(at);
  }
  await changeRows(tools, list, rows);
  return placed;
}

/** What one operation of a list needs in the database. */
type Planned = { readonly at: number; readonly operations: readonly Operation[] };

async function changeRows(tools: Tools, list: OpList, places: readonly number[]): Promise<void> {
  const { ovs } = tools;
  const due = places.filter((at) => list.isDue(at));
  if (due.length === 0) return;
  const replica = await ovs.wanted();
  const [first = "it does not answer"] = ovs.troubles();
  if (replica === undefined) return refuseAll(list, due, { class: "busy", message: first });
  const there = { replica, ports: portsIn(replica) };
  let planned = due.flatMap((at): Planned[] => {
    const plan = planOf(tools, there, list, at);
    if (Array.isArray(plan)) return [{ at, operations: plan }];
    list.refuse(at, plan as Refusal);
    return [];
  });
  while (planned.length > 0) {
    const failure = await ovs.transact(planned.flatMap(({ operations }) => operations));
    if (failure === undefined) break;
    const culprit = failure.at === undefined ? undefined : ownerOf(planned, failure.at);
    if (culprit === undefined && planned.length > 1) return await changeEach(ovs, list, planned);
    const refused = culprit === undefined ? planned : [culprit];
    refuseAll(
      list,
      refused.map(({ at }) => at),
      failure.refusal,
    );
    if (failure.refusal.class === "awaited") noteBridges(ovs, list, refused, false);
    planned = planned.filter((one) => !refused.includes(one));
  }
  noteBridges(ovs, list, planned, true);
  noteTroubles(ovs, list, planned);
}

/** It is not known which of them the database refuses. */
async function changeEach(ovs: OpenVswitch, list: OpList, planned: readonly Planned[]): Promise<void> {
  for (const { at, operations } of planned) list.refuse(at, (await ovs.transact(operations))?.refusal);
  noteTroubles(ovs, list, planned);
}

function noteBridges(ovs: OpenVswitch, list: OpList, planned: readonly Planned[], isThere: boolean): void {
  for (const { at } of planned) {
    const op = list.ops[at];
    if (op?.object.kind === "ovs-port") ovs.noteBridge(op.object, isThere);
  }
}

/** Ports that are in the database now, but that Open vSwitch cannot make. */
function noteTroubles(ovs: OpenVswitch, list: OpList, planned: readonly Planned[]): void {
  for (const { at } of planned) {
    const op = list.ops[at];
    if (op === undefined || op.op === "remove" || op.object.kind !== "ovs-port") continue;
    list.refuse(at, ovs.troubleOf(op.object.name));
  }
}

function refuseAll(list: OpList, places: readonly number[], refusal: Refusal): void {
  for (const at of places) list.refuse(at, refusal);
}

function ownerOf(planned: readonly Planned[], place: number): Planned | undefined {
  let end = 0;
  return planned.find(({ operations }) => (end += operations.length) > place);
}

/** What is in the database, and Weft's ports of it by name. */
type Sight = { readonly replica: Replica; readonly ports: ReadonlyMap<string, OvsPort> };

function portsIn(replica: Replica): ReadonlyMap<string, OvsPort> {
  const ports = objectsIn(replica).filter((object) => object.kind === "ovs-port");
  return new Map(ports.map((port) => [port.name, port]));
}

function planOf(tools: Tools, sight: Sight, list: OpList, at: number): Operation[] | Refusal {
  const op = list.ops[at];
  if (op?.object.kind === "ovs-bridge") return planBridge(tools, sight, op as OpOn<OvsBridge>, at);
  return op?.object.kind === "ovs-port" ? planPort(tools, sight, op as OpOn<OvsPort>, at) : [];
}

function planBridge(tools: Tools, sight: Sight, op: OpOn<OvsBridge>, at: number): Operation[] | Refusal {
  const { name, of } = op.object;
  const { replica } = sight;
  const there = rowOf(replica, "Bridge", name);
  if (op.op === "remove") {
    if (there?.of === undefined) return [];
    // What others have put into it is not Weft's to remove.
    return hasOthers(sight, name, there.row["ports"]) ? markBridge(there.id, undefined) : [removeBridge(there.id)];
  }
  if (there === undefined) return makeBridge(op.object, datapathIn(tools.namespaces), at);
  if (there.of === undefined) return taken("bridge", name);
  return there.of === of ? [] : op.op === "set" ? markBridge(there.id, of) : taken("bridge", name);
}

function hasOthers({ replica, ports: ours }: Sight, bridge: string, ports: unknown): boolean {
  const names = textsIn(ports).flatMap((id) => textsIn(replica.table("Port").get(id)?.["name"] ?? ["set", []]));
  return names.some((name) => name !== bridge && !ours.has(name));
}

function planPort(tools: Tools, { replica, ports }: Sight, op: OpOn<OvsPort>, at: number): Operation[] | Refusal {
  const { object } = op;
  const there = rowOf(replica, "Port", object.name);
  const ours = ports.get(object.name);
  if (op.op === "remove") {
    const isMeant = ours?.bridge === object.bridge && ours.type === object.type;
    return there === undefined || !isMeant ? [] : [removePort(ours.bridge, there.id)];
  }
  // An operation before this one may take it away.
  if (there === undefined || isRemoved(op, ours)) return whyKept(tools, object) ?? makePort(object, at);
  if (ours === undefined) return taken("port", object.name);
  if (op.op === "set" || isSame(ours, object)) return changePort(object);
  return taken("port", object.name);
}

/** A device that the host uses itself is never taken: it would be cut off. */
function whyKept({ namespaces: { host } }: Tools, { type, name, bridge }: OvsPort): Refusal | undefined {
  const link = type === "system" ? host.socket.ask(linkByName(name)) : undefined;
  const uses = link === undefined ? [] : usesOfHost(host, link);
  if (uses.length === 0) return undefined;
  return { class: "denied", message: `as a port of ${bridge} ${name} would lose ${uses.join(", ")}` };
}

/** A port of that name that is another one by now: the list removes the old one first. */
function isRemoved({ op, object }: OpOn<OvsPort>, ours: OvsPort | undefined): boolean {
  if (op !== "add" || ours === undefined) return false;
  return ours.bridge !== object.bridge || ours.type !== object.type;
}

function taken(what: string, name: string): Refusal {
  return { class: "exists", message: `Open vSwitch has a ${what} ${name}, which is not as Weft wants it` };
}
