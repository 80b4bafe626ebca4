// What all kinds of entries do alike: one message, on a link of ours.
import type { EntryObject, OpOn } from "../../datapath/state/state.ts";
import type { EntryHooks } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import type { Space } from "../namespaces.ts";
import type { Question } from "../netlink/socket.ts";
import { WORKLOAD_MOST } from "../ownership.ts";
import type { Events } from "./events.ts";
import { fakeEntry } from "./fake.ts";
import {
  type EntryReader,
  type Indexed,
  type KernelKind,
  type On,
  type Reading,
  type StepContext,
  kernelKind,
  oneStep,
} from "./kind.ts";

type EntryKind<T extends EntryObject, I extends Indexed> = {
  readonly isInWorkloads: boolean;
  readonly encode: (context: StepContext, op: OpOn<T>) => void;
  readonly explain?: KernelKind<T>["explain"];
  /** Those in a namespace that are ours if their link is. */
  readonly list: (reading: Reading) => readonly I[];
  /** The object that one is. `nameOf`: name of another device of ours in that namespace. */
  readonly decode: (item: I, on: On, nameOf: (index: number) => string | undefined) => T;
  readonly events: Events;
  readonly fake: EntryHooks<T>;
};

export function entryKind<T extends EntryObject, I extends Indexed>(kind: EntryKind<T, I>): KernelKind<T> {
  const { isInWorkloads, encode, list, decode, events, fake } = kind;
  return kernelKind<T>({
    isInWorkloads,
    steps: oneStep(encode),
    ...(kind.explain === undefined ? {} : { explain: kind.explain }),
    // What a kind lists, it decodes.
    observe: { entry: { list, decode: decode as EntryReader<T>["decode"], isOnAnyLink: fake.isOnAnyLink ?? false } },
    events,
    fake: fakeEntry(fake),
  });
}

/** create: refused if it is there; replace: made, or made so; append: one more of a set; delete. */
export type Verb = "create" | "replace" | "append" | "delete";
export const FLAGS: Readonly<Record<Verb, number>> = {
  create: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_EXCL,
  replace: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_REPLACE,
  append: k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_APPEND,
  delete: k.NLM_F_REQUEST,
};

/** What to do about an entry; `add` is how it is added. */
export function verbOf({ op }: OpOn<EntryObject>, add: Verb): Verb {
  return op === "remove" ? "delete" : op === "set" ? "replace" : add;
}

/** In a workload's namespace there may be more than can be read, and it may not stand still. */
export function listIn<T>({ ns, socket }: Space, asked: Question<T>, isWanted: (item: T) => boolean): T[] {
  return ns.startsWith("/") ? socket.listAny(asked, isWanted, WORKLOAD_MOST) : socket.list(asked, isWanted);
}
