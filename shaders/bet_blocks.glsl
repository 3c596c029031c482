// Where the blocks of draws end that bound strict bets in: docs/algorithm.md, "Strict denominator".
#ifndef BET_BLOCKS_GLSL
#define BET_BLOCKS_GLSL

// Draws are taken in blocks whose ends are fixed: 64 each at first, then about a sixteenth of the
// draws before.
uint bet_block(uint draw)
{
    uint size = 64u;
    while (draw / 16u >= 2u * size) {
        size *= 2u;
    }
    return size;
}

// The end of the block that holds the last of `draws`.
uint bet_round_up(uint draws)
{
    uint end = 0u;
    while (end < draws) {
        end += bet_block(end);
    }
    return end;
}
#endif
