// The parts of a floating-point code: its class, and its magnitude as significand * 2^exponent.
//
// A finite magnitude's significand is an integer with the implicit bit; zero has the smallest exponent of all.  Without
// infinities (INFINITIES = 0) only the largest magnitude is a NaN, as in OCP's E4M3.
module float_parts #(
    parameter EXPONENT_BITS = 8,
    parameter TRAILING_BITS = 7,
    parameter INFINITIES = 1
) (
    input [EXPONENT_BITS+TRAILING_BITS:0] code,
    output sign,
    output [TRAILING_BITS:0] significand,
    output signed [11:0] exponent,
    output zero,
    output infinite,
    output nan,
    output signaling
);
    localparam signed [11:0] QUANTUM = 2 - (1 << (EXPONENT_BITS - 1)) - TRAILING_BITS;  // exponent of the smallest value

    wire [EXPONENT_BITS-1:0] field;
    wire [TRAILING_BITS-1:0] trailing;
    assign {sign, field, trailing} = code;

    wire normal = field != 0;
    wire top = &field;
    assign significand = {normal, trailing};
    assign zero = !normal && trailing == 0;
    assign exponent = zero ? -12'sd2048 : normal ? QUANTUM - 1 + $signed({1'b0, field}) : QUANTUM;
    assign infinite = INFINITIES && top && trailing == 0;
    assign nan = top && (INFINITIES ? trailing != 0 : &trailing);
    assign signaling = INFINITIES && nan && !trailing[TRAILING_BITS-1];
endmodule
