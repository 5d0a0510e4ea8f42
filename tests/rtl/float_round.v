// Rounds significand * 2^exponent, and a bit more where `sticky` is set, to a magnitude's code: to nearest, ties to even.
//
// The significand is not 0.  With `sticky` it has bits to spare: its last one stands below half a quantum of the result.
// Flags as TestFloat numbers them; underflow is tininess after rounding, and inexact.
module float_round #(
    parameter WIDTH = 16,  // of the significand
    parameter EXPONENT_BITS = 8,
    parameter TRAILING_BITS = 7,
    parameter INFINITIES = 1
) (
    input [WIDTH-1:0] significand,
    input signed [11:0] exponent,
    input sticky,
    output [EXPONENT_BITS+TRAILING_BITS-1:0] magnitude,
    output [4:0] flags
);
    localparam MAGNITUDE_BITS = EXPONENT_BITS + TRAILING_BITS;
    localparam signed [11:0] QUANTUM = 2 - (1 << (EXPONENT_BITS - 1)) - TRAILING_BITS;  // exponent of the smallest value
    localparam [MAGNITUDE_BITS-1:0] ALL_ONES = -1;
    // Infinity, or without infinities the NaN
    localparam [MAGNITUDE_BITS-1:0] BEYOND = INFINITIES ? ALL_ONES << TRAILING_BITS : ALL_ONES;

    // The significand with its leading one at the top, and that one's exponent
    reg [WIDTH-1:0] leading;
    reg signed [11:0] top;
    integer place;
    always @* begin
        leading = significand;
        top = exponent + WIDTH - 1;
        for (place = 0; place < WIDTH; place = place + 1)
            if (!leading[WIDTH-1]) begin
                leading = leading << 1;
                top = top - 1;
            end
    end

    // Kept are the digits above the last place, then stand the guard bit and the others: {kept, inexact}
    function [TRAILING_BITS+2:0] rounded;
        input [TRAILING_BITS+WIDTH+1:0] digits;  // the point stands before the last WIDTH
        input more;
        reg guard, rest;
        begin
            guard = digits[WIDTH-1];
            rest = |digits[WIDTH-2:0] || more;
            rounded[TRAILING_BITS+2:1] = digits[TRAILING_BITS+WIDTH+1:WIDTH] + (guard && (rest || digits[WIDTH]));
            rounded[0] = guard || rest;
        end
    endfunction

    wire tiny = top < QUANTUM + TRAILING_BITS;  // before rounding
    wire [11:0] lost = tiny ? QUANTUM + TRAILING_BITS - top : 0;  // digits below the quantum of subnormals
    wire [TRAILING_BITS+WIDTH+1:0] normal = {1'b0, leading, {TRAILING_BITS + 1{1'b0}}};
    wire [TRAILING_BITS+WIDTH+1:0] shifted = normal >> lost;
    wire below = shifted << lost != normal || sticky;

    wire [TRAILING_BITS+1:0] kept, unbounded;
    wire inexact, unused;
    assign {kept, inexact} = rounded(shifted, below);
    assign {unbounded, unused} = rounded(normal, sticky);  // as if there were no smallest exponent

    // The implicit bit in `kept` counts as one in the exponent field, and so does a carry
    wire [11:0] binade = tiny ? 0 : top - QUANTUM - TRAILING_BITS;
    wire [TRAILING_BITS+12:0] code = ({binade, {TRAILING_BITS{1'b0}}}) + kept;
    wire overflow = code >= BEYOND;
    wire underflow = inexact && tiny && !(lost == 1 && unbounded[TRAILING_BITS+1]);

    assign magnitude = overflow ? BEYOND : code[MAGNITUDE_BITS-1:0];
    assign flags = {2'b00, overflow, underflow, inexact || overflow};
endmodule
