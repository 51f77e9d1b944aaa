// CSV (RFC 4180) that is safe to open in a spreadsheet.

const FORMULA = /^\s*[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** Return a value as a cell: text that a spreadsheet would run as a formula gets an apostrophe. */
export function cell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows of values as CSV, with a byte order mark so that spreadsheets read UTF-8. */
export function csv(rows) {
  return `\uFEFF${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}
