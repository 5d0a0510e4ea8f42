// Multiplies two float8_e4m3fn (OCP's E4M3): nearest, ties to even; what overflows is NaN.
module e4m3_multiply (
    input [7:0] x,
    input [7:0] y,
    output [7:0] result,
    output [4:0] flags
);
    wire x_sign, x_zero, x_nan, y_sign, y_zero, y_nan;
    wire [3:0] x_significand, y_significand;
    wire signed [11:0] x_exponent, y_exponent;

    float_parts #(.EXPONENT_BITS(4), .TRAILING_BITS(3), .INFINITIES(0)) parts_of_x (
        .code(x), .sign(x_sign), .significand(x_significand), .exponent(x_exponent),
        .zero(x_zero), .infinite(), .nan(x_nan), .signaling()
    );
    float_parts #(.EXPONENT_BITS(4), .TRAILING_BITS(3), .INFINITIES(0)) parts_of_y (
        .code(y), .sign(y_sign), .significand(y_significand), .exponent(y_exponent),
        .zero(y_zero), .infinite(), .nan(y_nan), .signaling()
    );

    wire [7:0] product = x_significand * y_significand;
    wire [6:0] magnitude;
    wire [4:0] raised;
`ifdef PLANTED
    wire sticky = 1;  // the bit is stuck: ties go away from zero
`else
    wire sticky = 0;  // all digits of the product are there
`endif

    float_round #(.WIDTH(8), .EXPONENT_BITS(4), .TRAILING_BITS(3), .INFINITIES(0)) round (
        .significand(product), .exponent(x_exponent + y_exponent), .sticky(sticky),
        .magnitude(magnitude), .flags(raised)
    );

    wire nan = x_nan || y_nan;
    wire zero = x_zero || y_zero;
    assign result = nan ? 8'h7F : {x_sign ^ y_sign, zero ? 7'h00 : magnitude};
    assign flags = nan || zero ? 5'd0 : raised;
endmodule
