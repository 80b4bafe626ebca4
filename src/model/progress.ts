// How far the endpoints of a network are with its latest change: the schema of the answer, and the words in it.
import Type from "typebox";
import { type Value, AnyTexts, oneOf, optional, strictObject } from "./schema.ts";

const PROGRESS_STATES = ["up-to-date", "updating", "outdated", "failed"] as const;
export type ProgressState = (typeof PROGRESS_STATES)[number];

const Count = Type.Integer({ minimum: 0 });

/** An endpoint is as far as its host, unless the kernel refused its own policy. */
export const NetworkProgress = strictObject({
  network: Type.String(),
  revision: Type.Integer({ minimum: 0, description: "Of the latest change of the network or its VRF." }),
  upToDate: Count,
  updating: Count,
  outdated: Count,
  failed: Count,
  hosts: Type.Array(
    strictObject({
      host: Type.String(),
      state: oneOf(
        PROGRESS_STATES,
        "up-to-date: its kernel has the change; updating: it is heard and works on it; outdated: it is not heard; " +
          "failed: its kernel refused the network, or an endpoint of it.",
      ),
      endpoints: Count,
      revision: optional(Type.Integer({ minimum: 0, description: "What the host has reached." })),
      failed: optional(AnyTexts("Endpoints whose policy the kernel refused.")),
      errors: optional(AnyTexts("What the kernel refused.")),
    }),
    { description: "Those with endpoints in the network, by name." },
  ),
});
export type NetworkProgress = Value<typeof NetworkProgress>;

/** `3 up to date, 1 failed`. */
export function progressText({ upToDate, updating, outdated, failed }: NetworkProgress): string {
  const parts = [
    [upToDate, "up to date"],
    [updating, "updating"],
    [outdated, "outdated"],
    [failed, "failed"],
  ] as const;
  return parts.flatMap(([count, word]) => (count === 0 ? [] : [`${count} ${word}`])).join(", ");
}
