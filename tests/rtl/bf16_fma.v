// x * y + z in bfloat16, rounded once: nearest, ties to even.  A pipeline of three stages: a result with every clock.
module bf16_fma (
    input clk,
    input [15:0] x,
    input [15:0] y,
    input [15:0] z,
    output reg [15:0] result,
    output reg [4:0] flags
);
    wire x_sign, x_zero, x_infinite, x_nan, x_signaling;
    wire y_sign, y_zero, y_infinite, y_nan, y_signaling;
    wire z_sign, z_zero, z_infinite, z_nan, z_signaling;
    wire [7:0] x_significand, y_significand, z_significand;
    wire signed [11:0] x_exponent, y_exponent, z_exponent;

    float_parts parts_of_x (
        .code(x), .sign(x_sign), .significand(x_significand), .exponent(x_exponent),
        .zero(x_zero), .infinite(x_infinite), .nan(x_nan), .signaling(x_signaling)
    );
    float_parts parts_of_y (
        .code(y), .sign(y_sign), .significand(y_significand), .exponent(y_exponent),
        .zero(y_zero), .infinite(y_infinite), .nan(y_nan), .signaling(y_signaling)
    );
    float_parts parts_of_z (
        .code(z), .sign(z_sign), .significand(z_significand), .exponent(z_exponent),
        .zero(z_zero), .infinite(z_infinite), .nan(z_nan), .signaling(z_signaling)
    );

    // -- stage 1: the product, and what needs no arithmetic ------------------------------------------------------------

    wire sign = x_sign ^ y_sign;
    wire product_zero = x_zero || y_zero;
    wire product_infinite = x_infinite || y_infinite;
    wire zero_by_infinity = (x_zero && y_infinite) || (x_infinite && y_zero);
    wire infinities_cancel = product_infinite && z_infinite && sign != z_sign && !x_nan && !y_nan;
    wire invalid = x_signaling || y_signaling || z_signaling || zero_by_infinity || infinities_cancel;

    reg [15:0] product;
    reg [7:0] addend;
    reg signed [11:0] product_exponent, addend_exponent;
    reg product_sign, addend_sign, special;
    reg [20:0] special_result;  // with the flags
    always @(posedge clk) begin
        product <= x_significand * y_significand;
        product_exponent <= product_zero ? -12'sd2048 : x_exponent + y_exponent;
        product_sign <= sign;
        addend <= z_significand;
        addend_exponent <= z_exponent;
        addend_sign <= z_sign;
        special <= 1;
        if (x_nan || y_nan || z_nan || invalid)
            special_result <= {16'h7FC0, invalid, 4'd0};
        else if (product_infinite || z_infinite)
            special_result <= {product_infinite ? sign : z_sign, 15'h7F80, 5'd0};
        else if (product_zero && z_zero)
            special_result <= {sign && z_sign, 15'h0000, 5'd0};
        else
            special <= 0;
    end

    // -- stage 2: the sum ----------------------------------------------------------------------------------------------

    // The one with the larger exponent is shifted left, up to so many places; beyond, the other is less than half a
    // quantum of any result, and only a bit below
    localparam FURTHEST = 40;

    wire first_is_product = product_exponent > addend_exponent;
    wire [15:0] first = first_is_product ? product : {8'd0, addend};
    wire [15:0] second = first_is_product ? {8'd0, addend} : product;
    wire signed [11:0] first_exponent = first_is_product ? product_exponent : addend_exponent;
    wire signed [11:0] second_exponent = first_is_product ? addend_exponent : product_exponent;
    wire [11:0] distance = first_exponent - second_exponent;
    wire far = distance > FURTHEST;
    wire [56:0] high = {41'd0, first} << (far ? FURTHEST : distance);
    wire [56:0] low = far ? {56'd0, second != 0} : {41'd0, second};
    wire subtract = product_sign != addend_sign;
    wire negative = subtract && low > high;

    reg [56:0] total;
    reg signed [11:0] total_exponent;
    reg total_sign, total_special;
    reg [20:0] total_special_result;
    always @(posedge clk) begin
        total <= !subtract ? high + low : negative ? low - high : high - low;
        total_exponent <= far ? first_exponent - FURTHEST : second_exponent;
        total_sign <= (first_is_product ? product_sign : addend_sign) ^ negative;
        total_special <= special || (subtract && high == low);
        total_special_result <= special ? special_result : 21'd0;  // what cancels is +0
    end

    // -- stage 3: rounding ---------------------------------------------------------------------------------------------

    wire [14:0] magnitude;
    wire [4:0] raised;
    float_round #(.WIDTH(57)) round (
        .significand(total), .exponent(total_exponent), .sticky(1'b0), .magnitude(magnitude), .flags(raised)
    );

`ifdef PLANTED
    wire [14:0] given = magnitude[14:7] == 0 ? 15'd0 : magnitude;  // subnormal results are flushed
`else
    wire [14:0] given = magnitude;
`endif

    always @(posedge clk)
        {result, flags} <= total_special ? total_special_result : {total_sign, given, raised};
endmodule
