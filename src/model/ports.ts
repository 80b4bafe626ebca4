// Lists of ports as people and iptables write them: `22,53,80:90`, `1024-65535`. One parser for commands and files, so
// that both accept the same texts.

/** A port, or a range as rules keep it: `80-90`. */
type Port = number | string;

const NUMBER = "0|[1-9]\\d{0,4}";
// A leading zero is octal for some readers and decimal for others, so it is refused, as in addresses.
const PORT = new RegExp(`^(${NUMBER})(?:[:-](${NUMBER}))?$`);
const PORT_MAX = 65_535;

/** Each port and range, in canonical form and in the given order; a sentence if one of them is invalid. */
export function portsOf(text: string): readonly Port[] | { readonly why: string } {
  const ports: Port[] = [];
  for (const part of text.split(",")) {
    const [, from, to = from] = PORT.exec(part) ?? [];
    if (from === undefined || to === undefined) return { why: `"${part}" is no port and no range` };
    const [first, last] = [Number(from), Number(to)];
    if (Math.max(first, last) > PORT_MAX) return { why: `port ${Math.max(first, last)} does not exist` };
    if (first > last) return { why: `the range ${part} ends before it begins` };
    ports.push(first === last ? first : `${first}-${last}`);
  }
  return ports;
}
