// Moves what the host has on a device onto a bridge of Weft's, and back, in three short batches and a wait. What the
// kernel refuses on the way is undone. Nothing here remembers anything: who calls has saved what there was.
//
// The wait: the kernel answers for a new IPv6 address only when a worker of its own (addrconf_dad_work) has made the
// route to it, some 0.1 ms later on an idle machine, 20 ms on a busy one. Until then the other device has to have it.
import { setTimeout } from "node:timers/promises";
import type { Kernel, Refusal } from "../kernel.ts";
import { linkByName } from "../netlink/link.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { hostUseOf, isRunning, ownAddresses } from "./hostUse.ts";
import { type Move, type Step, giveBackMove, restoreMove, takeOverMove } from "./plan.ts";
import { sendSteps } from "./send.ts";
import type { GivenBack, HostUse } from "./types.ts";

/** A bridge carries some 10 to 30 ms after its first port came: before that it drops what is sent by it. */
const LOOK_MS = 2;
const CARRIES_MS = 2_000;
/** A device that is down answers for no address, and nothing is lost by that. */
const ANSWERS_MS = 500;

/** `socket` is one of the host's namespace. */
export function takeOversBy(socket: () => NetlinkSocket): Pick<Kernel, "hostUse" | "takeOver" | "giveBack"> {
  return {
    hostUse: (device) => hostUseOf(socket(), device),
    takeOver: (use, bridge) => takeOver(socket(), use, bridge),
    giveBack: (given) => giveBack(socket(), given),
  };
}

async function takeOver(socket: NetlinkSocket, use: HostUse, bridge: string): Promise<Refusal | undefined> {
  const { begin, change, end } = takeOverMove(use, bridge);
  let refusal = sendSteps(socket, begin);
  if (refusal === undefined) {
    await carrying(socket, use.index, bridge);
    await answering(socket, begin);
    refusal = sendSteps(socket, change);
  }
  if (refusal !== undefined) {
    await giveBack(socket, { use, bridge, isSure: false });
    return refusal;
  }
  return sendSteps(socket, end, true);
}

/** Without a carrier of the device there is none of the bridge to wait for. */
async function carrying(socket: NetlinkSocket, device: number, bridge: string): Promise<void> {
  const index = socket.ask(linkByName(bridge))?.index ?? 0;
  if (socket.ask(isRunning(device)) !== true) return;
  for (let waitedMs = 0; waitedMs < CARRIES_MS && socket.ask(isRunning(index)) !== true; waitedMs += LOOK_MS)
    await setTimeout(LOOK_MS);
}

/** Until the kernel takes packets to the IPv6 addresses that these steps make. */
async function answering(socket: NetlinkSocket, steps: readonly Step[]): Promise<void> {
  const made = steps.flatMap((step) => (step.do === "address" && step.address.cidr.includes(":") ? [step] : []));
  const [first] = made;
  const index = first === undefined ? undefined : socket.ask(linkByName(first.device))?.index;
  if (index === undefined) return;
  const wanted = made.map(({ address }) => address.cidr.slice(0, address.cidr.indexOf("/")));
  for (let waitedMs = 0; waitedMs < ANSWERS_MS; waitedMs += LOOK_MS) {
    const own = new Set(socket.list(ownAddresses(index)));
    if (wanted.every((ip) => own.has(ip))) return;
    await setTimeout(LOOK_MS);
  }
}

async function giveBack(socket: NetlinkSocket, { use, bridge, isSure }: GivenBack): Promise<Refusal | undefined> {
  const { device, rpFilter } = use;
  const onBridge = labelled(hostUseOf(socket, bridge), use);
  const move = onBridge === undefined ? undefined : giveBackMove(onBridge, device, rpFilter);
  const refusal = move === undefined ? undefined : await sendMove(socket, move);
  const now = hostUseOf(socket, device);
  if (now === undefined) return { class: "missing", message: `there is no device ${device}` };
  if (isSure && onBridge !== undefined) return refusal;
  return refusal ?? (await sendMove(socket, restoreMove(use, now)));
}

/** A bridge cannot have a device's labels: they are as they were. */
function labelled(now: HostUse | undefined, saved: HostUse): HostUse | undefined {
  if (now === undefined) return undefined;
  const labels = new Map(saved.addresses.map(({ cidr, label }) => [cidr, label]));
  return { ...now, addresses: now.addresses.map((one) => ({ ...one, label: labels.get(one.cidr) ?? one.label })) };
}

async function sendMove(socket: NetlinkSocket, { begin, change, end }: Move): Promise<Refusal | undefined> {
  const refusal = sendSteps(socket, begin);
  if (refusal !== undefined) return refusal;
  await answering(socket, begin);
  return sendSteps(socket, change) ?? sendSteps(socket, end, true);
}
