// Method guided: the marked tokens of a chunk as a list, so that all invocations have the same work.
// Needs the binding `lists`.
#ifndef MARKS_GLSL
#define MARKS_GLSL

const uint MARK_WORDS = VSA_SELECT_CHUNK / 32;
const uint OWN_WORDS = (MARK_WORDS + WG - 1) / WG;

shared uint mark_count[WG];
shared uint mark_list[VSA_SELECT_CHUNK];   // places in the chunk, ascending

// Lists the bits of the first `words` words from lists[at] on; returns how many there are. All
// invocations call it. Ends with a barrier.
uint list_marks(uint at, uint words)
{
    uint tid = gl_LocalInvocationID.x;
    uint first = tid * OWN_WORDS;
    uint end = min(first + OWN_WORDS, words);
    uint own = 0u;
    for (uint i = first; i < end; i++) {
        own += uint(bitCount(lists[at + i]));
    }
    mark_count[tid] = own;
    barrier();
    uint place = 0u;
    uint total = 0u;
    for (uint i = 0; i < LOOP(WG); i++) {
        uint count = mark_count[i];
        place += i < tid ? count : 0u;
        total += count;
    }
    for (uint i = first; i < end; i++) {
        for (uint left = lists[at + i]; left != 0u; left &= left - 1u) {
            mark_list[place] = i * 32u + uint(findLSB(left));
            place++;
        }
    }
    barrier();
    return total;
}
#endif
