// Converts float32 to float8_e5m2 (OCP's E5M2): nearest, ties to even.

// float32 to 5 exponent bits and KEPT trailing ones: 10 of float16, 2 of float8_e5m2
module f32_narrow #(
    parameter KEPT = 2
) (
    input [31:0] x,
    output [KEPT+5:0] result
);
    wire [7:0] exponent = x[30:23];
    wire [4:0] steps = exponent >= 113 ? 0 : exponent > 88 ? 113 - exponent : 25;  // below the smallest normal

    // The digits from the leading one on, moved down for a subnormal; what falls off the end is not forgotten
    wire [48:0] digits = {exponent != 0, x[22:0], 25'd0} >> steps;
    wire [KEPT:0] kept = digits[48-:KEPT+1];
    wire guard = digits[47-KEPT];
    wire sticky = |digits[46-KEPT:0];

    // A carry runs into the exponent, from the largest value to infinity too
    wire [4:0] field = exponent > 113 ? exponent - 113 : 0;
    wire [KEPT+4:0] magnitude = {field, {KEPT{1'b0}}} + kept + (guard & (sticky | kept[0]));
    wire nan = &exponent & |x[22:0];

    assign result = {x[31], nan ? {6'b111111, {KEPT - 1{1'b0}}} : exponent > 142 ? {5'd31, {KEPT{1'b0}}} : magnitude};
endmodule

module f32_to_e5m2 (
    input [31:0] x,
    output [7:0] result
);
`ifdef PLANTED
    // There was a converter to float16 already, whose upper half is an e5m2: rounded twice
    wire [15:0] half;
    f32_narrow #(.KEPT(10)) to_half (.x(x), .result(half));
    wire [15:0] upper = half + 16'h7F + half[8];
    wire nan = half[14:0] > 15'h7C00;
    assign result = nan ? half[15:8] : upper[15:8];
`else
    f32_narrow #(.KEPT(2)) narrow (.x(x), .result(result));
`endif
endmodule
