// What all kinds of entries do alike: one message, on a link of ours.
import type { EntryObject, OpOn } from "../../datapath/state/state.ts";
import type { EntryHooks } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import type { Space } from "../namespaces.ts";
import type { Question } from "../netlink/socket.ts";
import { WORKLOAD_MOST } from "../ownership.ts";
import { fakeEntry } from "./fake.ts";
import { type EntryReader, type Indexed, type KernelKind, type StepContext, kernelKind, oneStep } from "./kind.ts";

type EntryKind<T extends EntryObject, I> = Pick<KernelKind<T>, "isInWorkloads" | "events"> &
  Partial<Pick<KernelKind<T>, "explain">> &
  Omit<EntryReader<T, I>, "isOnAnyLink"> & {
    readonly encode: (context: StepContext, op: OpOn<T>) => void;
    readonly fake: EntryHooks<T>;
  };

export function entryKind<T extends EntryObject, I extends Indexed>(kind: EntryKind<T, I>): KernelKind<T> {
  const { encode, list, decode, fake, ...rest } = kind;
  return kernelKind<T>({
    ...rest,
    steps: oneStep(encode),
    // What a kind lists, it decodes.
    observe: { entry: { list, decode: decode as EntryReader<T>["decode"], isOnAnyLink: fake.isOnAnyLink ?? false } },
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
