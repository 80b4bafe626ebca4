// What the routes need to answer.
import type { Control } from "../control/control.ts";
import type { Metrics } from "./metrics.ts";
import type { Watches } from "./watches.ts";

export type Parts = {
  readonly control: Control;
  readonly watches: Watches;
  readonly metrics: Metrics;
  readonly version: string;
};
