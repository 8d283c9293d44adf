// A zip with one directory of many empty files, as a zip of the format's first version has them.
export function flat(count) {
  const heads = [];
  const directory = [];
  let offset = 0;
  for (const name of ["many/", ...Array.from({ length: count }, (_, at) => `many/f${String(at).padStart(6, "0")}.txt`)]) {
    const bytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(10, 0);
    common.writeUInt32LE(0x00210000, 6); // The first of January 1980.
    common.writeUInt16LE(bytes.length, 22);
    const head = Buffer.concat([Buffer.from("PK\x03\x04"), common, bytes]);
    const entry = Buffer.alloc(14);
    entry.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x0a\x00"), common, entry, bytes);
    heads.push(head);
    offset += head.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  const total = Math.min(count + 1, 0xffff);
  end.writeUInt16LE(total, 4);
  end.writeUInt16LE(total, 6);
  end.writeUInt32LE(listing.length, 8);
  end.writeUInt32LE(offset, 12);
  if (count + 1 < 0xffff) return Buffer.concat([...heads, listing, Buffer.from("PK\x05\x06"), end]);
  return Buffer.concat([...heads, listing, ...zip64(count + 1, listing.length, offset), Buffer.from("PK\x05\x06"), end]);
}

/** More than 65,534 entries are counted in the record of the larger format. */
function zip64(count, length, offset) {
  const record = Buffer.alloc(52);
  record.writeBigUInt64LE(44n, 0);
  record.writeUInt16LE(45, 8);
  record.writeUInt16LE(45, 10);
  record.writeBigUInt64LE(BigInt(count), 20);
  record.writeBigUInt64LE(BigInt(count), 28);
  record.writeBigUInt64LE(BigInt(length), 36);
  record.writeBigUInt64LE(BigInt(offset), 44);
  const locator = Buffer.alloc(16);
  locator.writeBigUInt64LE(BigInt(offset + length), 4);
  locator.writeUInt32LE(1, 12);
  return [Buffer.from("PK\x06\x06"), record, Buffer.from("PK\x06\x07"), locator];
}
