// What the origin says of a name, as our formats keep it:
//
//   stat := type:u8 permissions:u16 user:u32 group:u32 links:u32 device:u64 size:u64 inode:u64
//           mtime_ns:i64 ctime_ns:i64
#pragma once

#include "cache/byte_codec.h"
#include "cache/file_attributes.h"

namespace stokefs::cache {

inline constexpr size_t kStatBytes = 55;

inline void PutStat(ByteWriter& body, const OriginStat& stat) {
  body.Put(static_cast<uint8_t>(stat.type));
  body.Put(stat.permissions);
  body.Put(stat.user_id);
  body.Put(stat.group_id);
  body.Put(stat.link_count);
  body.Put(stat.device);
  body.Put(stat.size_bytes);
  body.Put(stat.inode);
  body.Put(stat.mtime_ns);
  body.Put(stat.ctime_ns);
}

// False: not one that was ever written.
inline bool GetStat(ByteReader& body, OriginStat& stat) {
  auto const type = body.Get<uint8_t>();
  stat.type = static_cast<FileType>(type);
  stat.permissions = body.Get<uint16_t>();
  stat.user_id = body.Get<uint32_t>();
  stat.group_id = body.Get<uint32_t>();
  stat.link_count = body.Get<uint32_t>();
  stat.device = body.Get<uint64_t>();
  stat.size_bytes = body.Get<uint64_t>();
  stat.inode = body.Get<uint64_t>();
  stat.mtime_ns = body.Get<int64_t>();
  stat.ctime_ns = body.Get<int64_t>();
  return body.Ok() && type < kFileTypeCount && stat.permissions <= 07777;
}

}  // namespace stokefs::cache
