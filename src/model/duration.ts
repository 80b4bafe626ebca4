// Spans of time as people write them: `30s`, `5m`, `2h`, `7d`.
import { Fault } from "./fault.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds; a Fault `request-invalid` for what is none, or longer than ten years. */
export function parseDuration(text: string, where: string): number {
  const [, digits, unit = ""] = /^([1-9]\d{0,8})(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? Number.NaN);
  if (ms > 0 && ms <= 3650 * 86_400_000) return ms;
  throw new Fault("request-invalid", {
    what: `"${text.slice(0, 40)}" is not a span of time`,
    where,
    fix: "write a whole number and a unit: 30s, 5m, 2h, 7d",
  });
}

/** The two largest units: `2h 5m`, `45s`. Less than a second is `0s`. */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.floor(ms / 1000)) * 1000;
  for (const unit of ["d", "h", "m", "s"]) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}
